package files

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
)

// TestAReceiveThatIsEndedLeavesAListing of what there is, wherever its context ends, so that the next one goes
// on from there and nobody reads everything.
func TestAReceiveThatIsEndedLeavesAListing(t *testing.T) {
	ends, listed := 0, false
	for asked, done := 0, false; !done; asked++ {
		s := newStage(t)
		s.must(os.Mkdir(filepath.Join(s.src, "d"), 0o755))
		for n := range 8 {
			s.write(fmt.Sprint("d/", n), "old")
			s.write(fmt.Sprint("f", n), "old")
		}
		s.write("large", string(bytes.Repeat([]byte("x"), 4*blockSize)))
		s.write("larger", string(bytes.Repeat([]byte("y"), 4*blockSize)))
		s.round()
		for _, name := range []string{"large", "larger"} { // so they are looked at whole
			s.must(os.Chmod(filepath.Join(s.dst, name), 0o644))
		}
		s.write("d/3", "newer")
		s.write("larger", string(bytes.Repeat([]byte("y"), 5*blockSize)))
		s.must(os.Remove(filepath.Join(s.src, "f6")))
		_, err := s.send()
		s.must(err)

		save, begun := filepath.Join(t.TempDir(), "save"), false
		a := Arrival{Root: s.dst, Base: s.theirs, Save: save, Begin: func(cluster.Snapshot) error { begun = true; return nil }}
		_, _, err = Receive(&ending{t.Context(), asked}, a, bytes.NewReader(s.stream.Bytes()))
		if done = err == nil; done || !begun {
			continue
		}
		ends++
		if _, missing := os.Stat(save); missing != nil {
			t.Errorf("ended when it was asked %d times (%v): %v", asked, err, missing)
			continue
		}
		listed = true
		s.theirs = save
		s.round()
		s.must(Verify(t.Context(), s.dst, s.theirs))
	}
	if ends < 20 || !listed {
		t.Fatalf("ended %d times, listed: %v", ends, listed)
	}
}

// TestAListingGoesOnWhereItsReadingWasEnded: nothing of a record is used up.
func TestAListingGoesOnWhereItsReadingWasEnded(t *testing.T) {
	s := newStage(t)
	s.write("f", "content")
	s.round()
	l, err := openListing(s.ours)
	s.must(err)
	defer l.close()
	l.ctx = &ending{t.Context(), 0}
	if _, err := l.next(); err == nil || errors.Is(err, cluster.ErrInvalid) {
		t.Fatalf("got %v, want the end of the context", err)
	}
	l.ctx = nil
	if r, err := l.next(); err != nil || r.kind != recordEntry {
		t.Errorf("got a record of kind %q, %v", r.kind, err)
	}
}
