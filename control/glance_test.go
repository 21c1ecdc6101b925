package control

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/report"
	"github.com/drover/drover/control/wire"
)

// TestAGlanceStaysAsItIs whatever happens meanwhile, and is looked at without a lock.
func TestAGlanceStaysAsItIs(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		g := l.glance()
		text := func() string {
			status := report.Status(g.View, g.told)
			g.withRefused(status.Nodes)
			all, err := json.Marshal([]any{status, report.Volumes(g.View), report.Moves(g.View), report.Recovery(g.View), g.Model.Events})
			l.ok(err)
			return string(all)
		}
		before := text()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range 10 {
				text() // for the race detector
			}
		}()
		time.Sleep(time.Second)
		a := l.host("a")
		l.ok(l.Heartbeat(l.ctx, "a", wire.Heartbeat{}))
		a.state.Volumes = slices.Clone(a.state.Volumes)
		a.state.Volumes[0].UsedBytes = 77
		a.state.Conflicts = []cluster.Conflict{{What: "two heads"}}
		a.report()
		l.configure(site("b"))
		l.bring(cluster.PhasePromote)
		l.allAct()
		time.Sleep(20 * time.Second) // c is not heard of any more
		a.report()
		if _, err := l.RemoveNode(l.ctx, "c", wire.RemovalRequest{Confirmed: true}); err != nil {
			t.Error(err)
		}
		<-ended
		if diff := cmp.Diff(before, text()); diff != "" {
			t.Errorf("it has changed (-before +after)\n%s", diff)
		}
	})
}
