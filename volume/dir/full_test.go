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
	"github.com/drover/drover/test/harness/powercut"
	"github.com/drover/drover/volume"
)

// TestAFullDiskIsMovedAwayFrom while the application runs, and takes every block and every inode that it
// can get between any two steps; and the volume comes back as a difference.
func TestAFullDiskIsMovedAwayFrom(t *testing.T) {
	for kind, size := range map[string]int64{"ext4": 128 << 20, "xfs": 320 << 20} {
		t.Run(kind, func(t *testing.T) {
			p, others := pairOnADisk(t, kind, size)
			p.pass()
			fill := func() { powercut.Fill(t, others) }
			write := func(n int) { p.must(os.WriteFile(filepath.Join(p.src, fmt.Sprint("file", n)), []byte("new"), 0o600)) }
			fill()
			for round := range 4 {
				write(round)
				last := round == 3
				if last {
					p.must(p.from.Close(t.Context(), p.id))
				}
				d := volume.Delta{Volume: p.id, From: p.last, To: cluster.SnapshotName(fmt.Sprint("full", round))}
				fill()
				_, err := p.from.Snapshot(t.Context(), p.id, d.To, false)
				p.must(err)
				fill()
				var stream bytes.Buffer
				p.must(p.from.Send(t.Context(), d, &stream))
				if stream.Len() > 100<<10 {
					t.Errorf("round %d shipped %d bytes", round, stream.Len())
				}
				p.must(p.to.Receive(t.Context(), d, &stream))
				fill()
				p.must(p.from.Drop(t.Context(), p.id, p.last))
				p.last = d.To
			}
			p.must(p.from.Send(t.Context(), volume.Delta{Volume: p.id, To: p.last}, &bytes.Buffer{})) // to somebody who looks
			fill()
			_, err := p.to.Open(t.Context(), p.id, 2, head(t, p))
			p.must(err)
			p.must(p.from.Demote(t.Context(), p.id, 2))
			p.from.Shut()
			p.from = open(t, filepath.Dir(others))
			held, err := volume.Find(t.Context(), p.from, p.id)
			if err != nil || len(held.Snapshots) != 1 || held.Snapshots[0].Name != p.last {
				t.Errorf("what has moved away left %+v, %v: nothing can be built on that", held.Snapshots, err)
			}
			if got, err := os.ReadFile(filepath.Join(p.dst, "file3")); string(got) != "new" {
				t.Errorf("file3 holds %q, %v", got, err)
			}
		})
	}
}

// pairOnADisk is one whose source is on a disk of its own, with 3,000 files. Others is another volume's place there.
func pairOnADisk(t *testing.T, kind string, size int64) (p *pair, others string) {
	t.Helper()
	root := filepath.Join(powercut.New(t, kind, size).Path(), "v")
	p = &pair{t: t, id: cluster.VolumeID(cluster.NewUUID()), toRoot: t.TempDir()}
	p.from, p.to = open(t, root), open(t, p.toRoot)
	t.Cleanup(func() { p.from.Shut() })
	p.must(p.from.Create(t.Context(), p.id, volume.Options{}))
	var err error
	p.src, err = p.from.Open(t.Context(), p.id, 1, "")
	p.must(err)
	p.dst = filepath.Join(p.toRoot, string(p.id), "data")
	for n := range 3000 {
		p.must(os.WriteFile(filepath.Join(p.src, fmt.Sprint("file", n)), []byte(fmt.Sprint(n)), 0o600))
	}
	others = filepath.Join(root, string(cluster.NewUUID()))
	p.must(os.Mkdir(others, 0o700))
	return p, others
}

// TestAListingInMemoryIsTheOnlyOne: after a restart nobody finds an older one of the same snapshot on the disk,
// which says something else than what the target has.
func TestAListingInMemoryIsTheOnlyOne(t *testing.T) {
	p, others := pairOnADisk(t, "ext4", 128<<20)
	p.must(os.WriteFile(filepath.Join(p.src, "gone"), nil, 0o600))
	s1 := volume.Delta{Volume: p.id, To: "s1"}
	_, err := p.from.Snapshot(t.Context(), p.id, s1.To, false)
	p.must(err)
	var stream bytes.Buffer
	p.must(p.from.Send(t.Context(), s1, &stream)) // and nothing of it arrives
	stream.Reset()
	p.must(os.Remove(filepath.Join(p.src, "gone")))
	powercut.Fill(t, others)
	p.must(p.from.Send(t.Context(), s1, &stream))
	p.must(p.to.Receive(t.Context(), s1, &stream))
	if c, err := p.from.find(p.id); err != nil || !c.Unsaved.Has("s1") {
		t.Fatalf("there was room on the disk: %v", err)
	}
	p.must(os.RemoveAll(others))
	p.from.Shut()
	p.from = open(t, filepath.Dir(others))
	_, err = p.from.Snapshot(t.Context(), p.id, "s2", false)
	p.must(err)
	if err := p.from.Send(t.Context(), volume.Delta{Volume: p.id, From: "s1", To: "s2"}, io.Discard); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("a difference to what only memory knew: %v", err)
	}
}
