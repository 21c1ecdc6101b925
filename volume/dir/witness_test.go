package dir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A user's key reads the newest snapshot of a replica that somebody has changed; then it is opened.
func TestReadingASnapshotIsNoNewWitness(t *testing.T) {
	for _, read := range []bool{false, true} {
		t.Run(fmt.Sprint("read ", read), func(t *testing.T) {
			p := newPair(t)
			for i := range 51 {
				p.must(os.WriteFile(filepath.Join(p.src, fmt.Sprint("file", i)), []byte("content"), 0o600))
			}
			p.pass()
			for i := range 50 {
				p.must(os.Remove(filepath.Join(p.dst, fmt.Sprint("file", i))))
			}
			if read { // as for a user who reads
				_ = p.to.Send(t.Context(), volume.Delta{Volume: p.id, To: p.last}, io.Discard) // it may be refused
			}
			held, err := volume.Find(t.Context(), p.to, p.id)
			p.must(err)
			if _, err := p.to.Open(t.Context(), p.id, 2, held.Head); err == nil {
				t.Errorf("opened with 1 of 51 files")
			}
		})
	}
}

// The same on the owner: what was written behind our back to a closed copy is no divergence then.
func TestReadingASnapshotHidesNothing(t *testing.T) {
	p := newPair(t)
	p.must(os.WriteFile(filepath.Join(p.src, "file"), []byte("content"), 0o600))
	p.must(p.from.Close(t.Context(), p.id))
	p.pass()
	p.must(os.WriteFile(filepath.Join(p.src, "file"), []byte("written behind our back"), 0o600))
	_ = p.from.Send(t.Context(), volume.Delta{Volume: p.id, To: p.last}, io.Discard) // it may be refused
	if err := p.from.Demote(t.Context(), p.id, 2); err == nil {
		t.Errorf("demoted to a replica of %s", p.last)
	}
}

// TestABaseThatIsNotWrittenDownIsNone: what snapshots held was removed by hand, or is an older version's.
func TestABaseThatIsNotWrittenDownIsNone(t *testing.T) {
	for _, row := range []struct {
		rule       string
		here, away bool
	}{{"at the source", true, false}, {"at the target", false, true}, {"at both", true, true}} {
		t.Run(row.rule, func(t *testing.T) {
			p := newPair(t)
			p.must(os.WriteFile(filepath.Join(p.src, "file"), []byte("content"), 0o600))
			p.pass()
			if row.here {
				p.must(os.RemoveAll(filepath.Join(filepath.Dir(p.src), "listings")))
			}
			if row.away {
				p.must(os.RemoveAll(filepath.Join(filepath.Dir(p.dst), "listings")))
				if held, err := volume.Find(t.Context(), p.to, p.id); err != nil || len(held.Snapshots) > 0 {
					t.Errorf("the replica tells of %v, %v", held.Snapshots, err)
				}
			}
			_, err := p.from.Snapshot(t.Context(), p.id, "next", false)
			p.must(err)
			var stream bytes.Buffer
			d := volume.Delta{Volume: p.id, From: p.last, To: "next"}
			err = p.from.Send(t.Context(), d, &stream)
			if err == nil {
				err = p.to.Receive(t.Context(), d, &stream)
			}
			if !errors.Is(err, cluster.ErrStale) {
				t.Fatalf("got %v, want ErrStale", err)
			}
			p.last = "" // so it is shipped in full
			p.pass()
			p.same()
		})
	}
}

// TestAListingThatIsDamagedIsMadeAnew: it blocks no move.
func TestAListingThatIsDamagedIsMadeAnew(t *testing.T) {
	p := newPair(t)
	p.must(os.WriteFile(filepath.Join(p.src, "file"), []byte("content"), 0o600))
	p.pass()
	all, err := filepath.Glob(filepath.Join(filepath.Dir(p.src), "listings", "*"))
	p.must(err)
	for _, path := range all {
		p.must(os.Truncate(path, 40))
	}
	_, err = p.from.Snapshot(t.Context(), p.id, "next", false)
	p.must(err)
	err = p.from.Send(t.Context(), volume.Delta{Volume: p.id, From: p.last, To: "next"}, io.Discard)
	if !errors.Is(err, cluster.ErrStale) {
		t.Fatalf("got %v, want ErrStale", err)
	}
	p.last = "" // so it is shipped in full
	p.pass()
	p.same()
}
