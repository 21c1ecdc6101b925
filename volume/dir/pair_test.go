package dir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// A pair is a volume that is open on one backend and shipped to another one.
type pair struct {
	t          *testing.T
	id         cluster.VolumeID
	from, to   *Backend
	toRoot     string
	src, dst   string
	last       cluster.SnapshotName
	passes     int
	cutAfter   func() int64 // how many bytes arrive before the stream is cut; nil: all
	lastStream int64
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, id: cluster.VolumeID(cluster.NewUUID()), toRoot: t.TempDir()}
	p.from, p.to = open(t, t.TempDir()), open(t, p.toRoot)
	p.must(p.from.Create(t.Context(), p.id, volume.Options{}))
	path, err := p.from.Open(t.Context(), p.id, 1, "")
	p.must(err)
	p.src, p.dst = path, filepath.Join(p.toRoot, string(p.id), "data")
	return p
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// pass ships what has changed, through as many cuts as the pair makes.
func (p *pair) pass() {
	p.t.Helper()
	p.passes++
	d := volume.Delta{Volume: p.id, From: p.last, To: cluster.SnapshotName(fmt.Sprint("pass", p.passes))}
	_, err := p.from.Snapshot(p.t.Context(), p.id, d.To, false)
	p.must(err)
	for {
		var stream bytes.Buffer
		p.must(p.from.Send(p.t.Context(), d, &stream))
		p.lastStream = int64(stream.Len())
		var in io.Reader = &stream
		if p.cutAfter != nil {
			in = io.LimitReader(&stream, p.cutAfter())
		}
		if err = p.to.Receive(p.t.Context(), d, in); err == nil {
			break
		}
		if p.cutAfter == nil || !errors.Is(err, cluster.ErrUnavailable) {
			p.t.Fatal(err)
		}
		if held, err := volume.Find(p.t.Context(), p.to, p.id); err == nil && held.Partial != nil {
			p.goOn(&d, held)
		}
	}
	p.last = d.To
}

// goOn makes a delta go on with what has arrived, as a transport does.
func (p *pair) goOn(d *volume.Delta, held volume.Copy) {
	p.t.Helper()
	if held.Partial == nil || len(held.Partial.Token) == 0 || !held.Partial.Listed {
		p.t.Fatalf("nothing to go on with: %+v", held)
	}
	d.Resume = held.Partial.Token
	listing, err := p.to.Listing(p.t.Context(), p.id)
	p.must(err)
	d.Arrived, err = transfer.Spool(p.t.TempDir(), listing)
	p.must(err)
}
