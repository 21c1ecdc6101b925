package files

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
)

// crafted writes a listing of one file of that size with such records behind it, as a peer may that wants
// much to be made of little.
func crafted(t *testing.T, size int64, records func(put func(kind byte, payload []byte))) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "listing")
	l, err := newListing(path, header{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func(kind byte, payload []byte) {
		if err := l.record(record{kind, payload}); err != nil {
			t.Fatal(err)
		}
	}
	put(recordEntry, payloadOf(&entry{kind: kindDir}))
	put(recordEntry, payloadOf(&entry{path: "f", kind: kindFile, size: size}))
	records(put)
	put(recordLeave, seen{}.append(nil))
	if _, err := l.close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// full is a record of as many blocks as one holds, all alike: nothing packs better.
var full = bytes.Repeat(append(make([]byte, len(hash{})-1), 1), maxHashes)

// TestAListingHoldsNoMoreThanItsFiles do: what a peer says of a file is bounded by the size that it has.
func TestAListingHoldsNoMoreThanItsFiles(t *testing.T) {
	zeros := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	for rule, of := range map[string]struct {
		size    int64
		records func(put func(byte, []byte))
		invalid bool
	}{
		"what there is":                {2*maxHashes*blockSize + 3*blockSize + 1, func(put func(byte, []byte)) { put('k', full); put('k', full); put('r', zeros(4)) }, false},
		"more blocks than there are":   {maxHashes * blockSize, func(put func(byte, []byte)) { put('k', full); put('k', full[:32]) }, true},
		"more zeros than there are":    {blockSize, func(put func(byte, []byte)) { put('r', zeros(2)) }, true},
		"zeros in pieces":              {1 << 62, func(put func(byte, []byte)) { put('r', zeros(1)); put('r', zeros(1)) }, true},
		"blocks in pieces":             {1 << 62, func(put func(byte, []byte)) { put('k', full[:32]); put('k', full[:32]) }, true},
		"records of nothing":           {1 << 62, func(put func(byte, []byte)) { put('r', zeros(0)) }, true},
		"records of no blocks":         {1 << 62, func(put func(byte, []byte)) { put('k', nil) }, true},
		"a stretch that has no number": {1 << 62, func(put func(byte, []byte)) { put('r', nil) }, true},
	} {
		s := Shipment{Root: t.TempDir(), Base: crafted(t, of.size, of.records), Save: filepath.Join(t.TempDir(), "save")}
		if _, err := Send(t.Context(), s, io.Discard); errors.Is(err, cluster.ErrInvalid) != of.invalid {
			t.Errorf("%s: got %v", rule, err)
		}
	}
}

// TestAListingUnpacksToSoMuch, however little it is on the wire.
func TestAListingUnpacksToSoMuch(t *testing.T) {
	l, err := openListing(crafted(t, 1<<62, func(put func(byte, []byte)) {
		for range 1000 {
			put(recordBlocks, full)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.read = maxListing - 1<<20
	for err == nil {
		_, err = l.next()
	}
	if !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

// An ending context ends when it has been asked so many times.
type ending struct {
	context.Context
	left int
}

func (e *ending) Err() error {
	if e.left--; e.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// TestALongReadingEndsWithItsContext: of a listing, and of a file.
func TestALongReadingEndsWithItsContext(t *testing.T) {
	long := crafted(t, 1<<62, func(put func(byte, []byte)) {
		for range 1000 {
			put(recordBlocks, full)
		}
	})
	for rule, look := range map[string]func(context.Context, *stage) error{
		"what a peer says that it has": func(ctx context.Context, s *stage) error {
			_, err := Send(ctx, Shipment{Root: t.TempDir(), Base: long, Save: filepath.Join(t.TempDir(), "save")}, io.Discard)
			return err
		},
		"a file that is held against its listing": func(ctx context.Context, s *stage) error { return Verify(ctx, s.dst, s.theirs) },
		"a file that is surveyed": func(ctx context.Context, s *stage) error {
			_, err := Survey(ctx, s.src, filepath.Join(t.TempDir(), "save"))
			return err
		},
	} {
		s := newStage(t)
		s.write("f", string(bytes.Repeat([]byte("x"), 200*blockSize)))
		s.round()
		if err := os.Chmod(filepath.Join(s.dst, "f"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := look(&ending{t.Context(), 20}, s); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want the end of the context", rule, err)
		}
	}
}
