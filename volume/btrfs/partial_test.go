package btrfs

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
	"github.com/drover/drover/volume/files"
	"github.com/drover/drover/volume/transfer"
)

// A cutter ships files from a plain directory to btrfs, over a connection that breaks again and again.
type cutter struct {
	*pair
	plain *dir.Backend
	// every is after how many bytes each stream is cut.
	every int64
	// between, if set, is what happens then.
	between func()
}

func newCutter(t *testing.T) *cutter {
	t.Helper()
	fs := fileSystem(t, 1<<30)
	plain, err := dir.Open(t.TempDir(), dir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Shut() })
	p := &pair{t: t, id: cluster.VolumeID(cluster.NewUUID()), b: openAt(t, filepath.Join(fs, "b"))}
	p.must(plain.Create(t.Context(), p.id, volume.Options{}))
	_, err = plain.Open(t.Context(), p.id, 1, "")
	p.must(err)
	return &cutter{pair: p, plain: plain, between: func() {}}
}

// noise writes files that nothing packs.
func (c *cutter) noise(first, count int) {
	c.t.Helper()
	for n := range count {
		content := make([]byte, 1<<20)
		for i := range content {
			content[i] = byte(rand.Uint32())
		}
		c.must(os.WriteFile(filepath.Join(c.plain.Path(c.id), fmt.Sprint("file", first+n)), content, 0o600))
	}
}

// ship ships a snapshot, and returns how many bytes that took, and how many streams.
func (c *cutter) ship(base, name cluster.SnapshotName) (bytesSent int64, streams int) {
	c.t.Helper()
	_, err := c.plain.Snapshot(c.t.Context(), c.id, name, false)
	c.must(err)
	d := volume.Delta{Volume: c.id, From: base, To: name, Files: true}
	for streams = 1; ; streams++ {
		var stream bytes.Buffer
		c.must(c.plain.Send(c.t.Context(), d, &stream))
		bytesSent += min(c.every, int64(stream.Len()))
		if err := c.b.Receive(c.t.Context(), d, io.LimitReader(&stream, c.every)); err == nil {
			return bytesSent, streams
		}
		c.between()
		held, err := volume.Find(c.t.Context(), c.b, c.id)
		c.must(err)
		if p := held.Partial; p == nil || !p.Listed || p.From != base || p.To != name || len(p.Token) == 0 {
			c.t.Fatalf("after stream %d there is %+v to go on with", streams, p)
		}
		d.Resume = held.Partial.Token
		listing, err := c.b.Listing(c.t.Context(), c.id)
		c.must(err)
		d.Arrived, err = transfer.Spool(c.t.TempDir(), listing)
		c.must(err)
	}
}

// arrived checks that b has what the directory has, and nothing beside.
func (c *cutter) arrived(name cluster.SnapshotName) {
	c.t.Helper()
	held, err := volume.Find(c.t.Context(), c.b, c.id)
	c.must(err)
	if held.Partial != nil || held.Snapshots[len(held.Snapshots)-1].Name != name || held.Warning != "" {
		c.t.Errorf("the copy is %+v", held)
	}
	copied, err := c.b.find(c.id)
	c.must(err)
	if diff := cmp.Diff(filesBelow(c.t, c.plain.Path(c.id)), filesBelow(c.t, copied.snapshotPath(name))); diff != "" {
		c.t.Errorf("(-sent +arrived)\n%.2000s", diff)
	}
	for _, path := range []string{copied.incomingPath(), copied.incomingListing(), copied.incomingListing() + files.Before} {
		if exists(path) {
			c.t.Errorf("%s is left", path)
		}
	}
}

// TestFilesGoOnWhereTheyWereCut, in full or as a difference, whatever becomes of the receiver's process meanwhile.
func TestFilesGoOnWhereTheyWereCut(t *testing.T) {
	for rule, between := range map[string]func(c *cutter){
		"a connection is cut": func(*cutter) {},
		"an agent is started again": func(c *cutter) {
			c.must(c.b.Shut())
			c.b = openAt(t, c.b.path)
		},
		"an agent is killed": func(c *cutter) { // it writes no listing any more
			copied, err := c.b.find(c.id)
			c.must(err)
			c.must(c.b.Shut())
			c.must(os.Rename(copied.incomingListing(), copied.incomingListing()+files.Before))
			c.b = openAt(t, c.b.path)
		},
	} {
		t.Run(rule, func(t *testing.T) {
			c := newCutter(t)
			c.between = func() { between(c) }
			c.every = 5<<20 + 1000
			c.noise(0, 16)
			if n, streams := c.ship("", "s1"); n > 20<<20 || streams < 3 {
				t.Errorf("%d bytes were shipped for 16 MiB in %d streams", n, streams)
			}
			c.arrived("s1")
			c.noise(10, 16) // some of which are there
			c.must(os.Remove(filepath.Join(c.plain.Path(c.id), "file3")))
			if n, streams := c.ship("s1", "s2"); n > 20<<20 || streams < 3 {
				t.Errorf("%d bytes were shipped for a difference of 16 MiB in %d streams", n, streams)
			}
			c.arrived("s2")
		})
	}
}

// TestWhatHasArrivedIsTrueUntilMoreComes: a stream that is cut before it says what it is changes nothing.
func TestWhatHasArrivedIsTrueUntilMoreComes(t *testing.T) {
	c := newCutter(t)
	c.noise(0, 8)
	_, err := c.plain.Snapshot(t.Context(), c.id, "s1", false)
	c.must(err)
	d := volume.Delta{Volume: c.id, To: "s1", Files: true}
	var stream bytes.Buffer
	c.must(c.plain.Send(t.Context(), d, &stream))
	whole := stream.Bytes()
	receive := func(length int) *volume.Partial {
		t.Helper()
		if err := c.b.Receive(t.Context(), d, bytes.NewReader(whole[:length])); err == nil {
			t.Fatal("a stream that was cut was taken for a whole one")
		}
		held, err := volume.Find(t.Context(), c.b, c.id)
		c.must(err)
		return held.Partial
	}
	part := receive(len(whole) / 2)
	d.Resume = part.Token
	for _, length := range []int{40, 20} {
		if again := receive(length); !cmp.Equal(again, part) {
			t.Errorf("after %d bytes there is %+v to go on with, and it was %+v", length, again, part)
		}
	}
	d.Resume = []byte("another")
	if again := receive(len(whole)); !cmp.Equal(again, part) {
		t.Errorf("a stream for something else leaves %+v", again)
	}
	c.must(c.b.Discard(t.Context(), c.id))
	if held, err := volume.Find(t.Context(), c.b, c.id); err != nil || held.Partial != nil {
		t.Errorf("what was discarded is %+v, %v", held.Partial, err)
	}
	c.every = 1 << 30
	c.ship("", "s1")
	c.arrived("s1")
}
