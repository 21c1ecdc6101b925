package control

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/wire"
)

// wantPending checks that the status names what is missing, among other things; with nothing to
// name, that nothing is missing.
func (l *lab) wantPending(sentences ...string) {
	l.t.Helper()
	s := l.Status()
	for _, want := range sentences {
		if !slices.Contains(s.Pending, want) {
			l.t.Errorf("pending is %q, want it to have %q", s.Pending, want)
		}
	}
	if s.Converged != (len(sentences) == 0) {
		l.t.Errorf("converged is %t with %q", s.Converged, s.Pending)
	}
}

func (l *lab) allAct() {
	l.t.Helper()
	for _, id := range records.Sorted(l.hosts) {
		l.hosts[id].act()
	}
	for _, id := range records.Sorted(l.hosts) { // what one reported may concern another
		l.hosts[id].act()
	}
}

func TestWhatIsPending(t *testing.T) {
	tests := []struct {
		name string
		make func(l *lab)
		want []string
	}{
		{"nothing, when all is as configured", func(l *lab) {}, nil},
		{"a volume that was not made yet", func(l *lab) {
			l.configure(func(c *cluster.Configuration) {
				c.Volumes[logVolume] = cluster.Volume{ID: logVolume, Name: "log", Primary: "c"}
			})
		}, []string{"volume log: owner node-c has not made it yet", "node node-c has not acted on its newest configuration yet"}},
		{"nothing, for a volume that nobody placed", func(l *lab) {
			l.configure(func(c *cluster.Configuration) { c.Volumes[logVolume] = cluster.Volume{ID: logVolume, Name: "log"} })
		}, nil},
		{"an application that is not healthy", func(l *lab) {
			l.host("a").state.Applications[0].Healthy = false
			l.host("a").state.Applications[0].Reason = "exited with status 1"
			l.host("a").report()
		}, []string{"db: not healthy on node-a: exited with status 1"}},
		{"an application that serves, and is of a former definition", func(l *lab) {
			l.host("a").state.Applications[0].Settling = "what runs is of a former definition"
			l.host("a").report()
		}, []string{"db: not settled on node-a: what runs is of a former definition"}},
		{"an application that was not started", func(l *lab) {
			l.host("a").state.Applications = nil
			l.host("a").report()
		}, []string{"db: not healthy on node-a: it has not been started"}},
		{"an application that still runs where it shall not", func(l *lab) {
			l.host("b").state.Applications = []cluster.Instance{{Name: "old", Running: true}}
			l.host("b").report()
		}, []string{"old: still runs on node-b"}},
		{"a move", func(l *lab) { l.bring(cluster.PhasePrecopy) }, []string{"db: moving to node-b (precopy)"}},
		{"a move that is aborted", func(l *lab) {
			_, err := l.AbortMove(l.ctx, l.bring(cluster.PhasePrecopy).ID)
			l.ok(err)
		}, []string{"db: aborting its move to node-b (precopy): aborted by a user"}},
		{"a node that carries something and is gone", func(l *lab) {
			time.Sleep(20 * time.Second)
			l.host("b").report()
			l.host("c").report()
		}, []string{"node node-a has not been heard of", "db: not healthy on node-a: its node has not been heard of"}},
		{"a snapshot that was asked for", func(l *lab) {
			l.ok(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "monday"}))
		}, []string{"volume db: snapshot monday has not been made yet"}},
		{"a copy that its owner lost", func(l *lab) {
			l.host("a").state.Volumes = nil
			l.host("a").report()
		}, []string{"volume db: its owner node-a has no copy of it"}},
		{"a conflict, and a step that failed", func(l *lab) {
			s := l.host("c").state
			s.Conflicts = []cluster.Conflict{{What: "two heads"}}
			s.Steps = []cluster.StepState{{Kind: "open", Subject: "db", Error: "disk full"}}
			l.ok(l.Report(l.ctx, s))
		}, []string{"node node-c: conflict: two heads", "node node-c: open db: disk full"}},
		{"a node that did not say anything yet", func(l *lab) {
			l.ok(l.Register(l.ctx, cluster.Node{ID: "d", Name: "d"}))
		}, []string{"node d has not reported its state yet"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.runDatabase()
				l.allAct()
				tt.make(l)
				if tt.want == nil {
					l.allAct()
				}
				l.wantPending(tt.want...)
			})
		})
	}
}

func TestASnapshotIsAskedOfTheOwnerOfTheDay(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.bring(cluster.PhasePromote)
		l.ok(l.RequestSnapshot(l.ctx, string(dbVolume), wire.SnapshotRequest{Name: "monday"}))
		c, _ := l.Configuration()
		if want := []cluster.SnapshotRequest{{Name: "monday", Epoch: 2}}; !slices.Equal(c.Volumes[dbVolume].Snapshots, want) {
			t.Errorf("the configuration asks for %v, want %v", c.Volumes[dbVolume].Snapshots, want)
		}
		l.wantKind(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "monday"}), cluster.ErrExists)
		l.wantKind(l.RequestSnapshot(l.ctx, "db", wire.SnapshotRequest{Name: "../x"}), cluster.ErrInvalid)
		l.wantKind(l.RequestSnapshot(l.ctx, "x", wire.SnapshotRequest{Name: "monday"}), cluster.ErrNotFound)
	})
}

func TestStatusShowsItAll(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePromote)
		l.host("b").act()
		s := l.Status()
		_, rev := l.Configuration()
		if s.Revision != rev || len(s.Nodes) != 3 || len(s.Routes) != 1 || s.Ownerships[dbVolume].Owner != "b" || s.Configuration.Applications["db"].Node != "b" {
			t.Errorf("the status is %+v", s)
		}
		if len(s.Moves) != 1 || s.Moves[0].ID != m.ID {
			t.Errorf("a move that has just ended is not among %v", s.Moves)
		}
		time.Sleep(time.Hour)
		if s := l.Status(); len(s.Moves) != 1 {
			t.Errorf("an hour later the last moves are %v", s.Moves)
		}
	})
}

// TestStatusShowsTheLastMovesThatEnded: a few, however long ago; all are listed elsewhere.
func TestStatusShowsTheLastMovesThatEnded(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		_, err := l.update(l.ctx, func(w *rules.Write) error {
			for i := range 8 {
				id := fmt.Sprint(i)
				w.PutMove(cluster.Move{ID: cluster.MoveID(id), Volume: cluster.VolumeID(id), Phase: cluster.PhaseDone,
					Ended: w.View.Now.Add(time.Duration(i) * time.Second)})
			}
			return nil
		})
		l.ok(err)
		time.Sleep(24 * time.Hour)
		shown := ""
		for _, m := range l.Status().Moves {
			shown += string(m.ID)
		}
		if shown != "76543" || len(l.Moves()) != 8 {
			t.Errorf("status shows %s, of %d", shown, len(l.Moves()))
		}
	})
}

func TestVolumes(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		m := l.bring(cluster.PhasePrecopy)
		l.host("b").state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica}}
		l.host("b").report()
		all := l.Volumes()
		one, err := l.Volume(string(dbVolume))
		l.ok(err)
		if len(all) != 1 || len(all[0].Copies) != 2 || all[0].Copies[1].Node != "b" || one.Move == nil || one.Move.ID != m.ID {
			t.Errorf("the volumes are %+v, the one is %+v", all, one)
		}
		_, err = l.Volume("x")
		l.wantKind(err, cluster.ErrNotFound)
	})
}

func TestVersion(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		if got, want := l.Version(), (wire.Version{Version: "v", Cluster: "lab"}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestAVolumeIsShownWithWhatWasSetAside on whatever node.
func TestAVolumeIsShownWithWhatWasSetAside(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		b := l.host("b")
		b.state.SetAside = []cluster.SetAside{{Volume: dbVolume, Why: "replaced", Path: "/p"}, {Volume: logVolume, Why: "diverged"}}
		b.report()
		v, err := l.Volume("db")
		l.ok(err)
		if len(v.SetAside) != 1 || v.SetAside[0].Node != "b" || v.SetAside[0].Copy.Path != "/p" || v.Names["b"] != "node-b" {
			t.Errorf("set aside is %+v", v.SetAside)
		}
	})
}
