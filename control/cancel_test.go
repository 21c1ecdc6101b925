package control

import (
	"context"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/wire"
)

// A hasty store loses its caller just before it writes.
type hasty struct {
	store.Store
	leave func()
	loads int
}

func (h *hasty) Load(ctx context.Context) (map[string]store.Record, cluster.Revision, error) {
	h.loads++
	return h.Store.Load(ctx)
}

func (h *hasty) Write(ctx context.Context, b store.Batch) (cluster.Revision, error) {
	h.leave()
	return h.Store.Write(ctx, b)
}

func TestACallerWhoLeavesDisturbsNobodyElse(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		ctx, leave := context.WithCancel(l.ctx)
		h := &hasty{Store: l.store, leave: leave}
		l.writing.Lock()
		l.Service.store = h
		l.writing.Unlock()
		waiting := l.host("c").pending(l.host("c").assignment().Revision)
		_, _ = l.CreateVolume(ctx, wire.VolumeRequest{Name: "log", Node: "b"})
		l.ok(l.Record(l.ctx, cluster.Event{Kind: "x", Message: "the next write"}))
		wantNothing(t, "somebody who had asked for something left", waiting)
		if h.loads != 0 {
			t.Errorf("all was read again, %d times", h.loads)
		}
		if _, err := l.Volume("log"); err != nil {
			t.Errorf("what was asked for, and not taken back, is lost: %v", err)
		}
		_, err := l.CreateVolume(ctx, wire.VolumeRequest{Name: "other", Node: "b"})
		l.wantKind(err, context.Canceled)
		l.configure(site("c"))
		arrived(t, waiting)
	})
}
