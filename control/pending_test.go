package control

import (
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

func (l *lab) wantMissing(of wire.Subjects, sentences ...string) {
	l.t.Helper()
	m, err := l.Pending(of)
	l.ok(err)
	if !slices.Equal(m.Pending, sentences) || m.Converged != (len(sentences) == 0) {
		l.t.Errorf("%+v is missing %q, converged %t; want %q", of, m.Pending, m.Converged, sentences)
	}
}

// TestWhatIsPendingOfOne subject is nothing that others lack.
func TestWhatIsPendingOfOne(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.allAct()
		l.configure(site("b"))
		l.allAct()
		l.configure(func(c *cluster.Configuration) {
			c.Volumes[logVolume] = cluster.Volume{ID: logVolume, Name: "log", Primary: "c"}
		})
		db, page := wire.Subjects{Applications: []cluster.AppName{"db"}}, wire.Subjects{Applications: []cluster.AppName{"site"}}
		const unmade = "volume log: owner node-c has not made it yet"
		l.wantMissing(db)
		l.wantMissing(wire.Subjects{Volumes: []string{"db"}, Nodes: []string{"node-b", "a"}})
		l.wantMissing(wire.Subjects{Volumes: []string{"log"}}, unmade)
		l.wantMissing(wire.Subjects{Nodes: []string{"node-c"}}, "node node-c has not acted on its newest configuration yet")
		l.wantMissing(wire.Subjects{}, l.Status().Pending...)

		l.host("a").state.Applications[0].Healthy = false
		l.host("a").state.Applications[0].Reason = "exited"
		l.host("a").report()
		l.wantMissing(db, "db: not healthy on node-a: exited", "db: its routes are not in force yet on node-a, node-b, node-c")
		l.wantMissing(page)
	})
}

func TestAnApplicationThatHasLeftIsPendingUntilItRunsNowhere(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(site("b"))
		l.allAct()
		l.configure(func(c *cluster.Configuration) { delete(c.Applications, "site") })
		of := wire.Subjects{Applications: []cluster.AppName{"site"}}
		m, err := l.Pending(of)
		l.ok(err)
		if !slices.Contains(m.Pending, "site: still runs on node-b") {
			t.Errorf("pending is %q", m.Pending)
		}
		l.allAct()
		l.wantMissing(of)
	})
}

func TestWhatIsPendingOfNothingThatThereIs(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		for _, of := range []wire.Subjects{{Volumes: []string{"x"}}, {Nodes: []string{"x"}}} {
			_, err := l.Pending(of)
			l.wantKind(err, cluster.ErrNotFound)
			if err == nil || !strings.Contains(err.Error(), `"x"`) {
				t.Errorf("%v", err)
			}
		}
	})
}
