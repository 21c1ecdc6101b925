package control

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// keep lets the host report that an application has data of its own at a path.
func (h *host) keep(name cluster.AppName, path string) {
	h.lab.t.Helper()
	for i, a := range h.state.Applications {
		if a.Name == name {
			h.state.Applications[i].Keeps = []string{path}
		}
	}
	h.report()
}

// TestAMoveLeavesNothingBehind: an application with data that is in no volume does not move, and
// nothing is done for a move before that is found out.
func TestAMoveLeavesNothingBehind(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.host("a").keep("db", "/cache")

		_, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "db", To: "b"})
		if !errors.Is(err, cluster.ErrRefused) || !strings.Contains(err.Error(), "/cache") || !strings.Contains(cluster.Hint(err), "scratch") {
			t.Errorf("got %v (%s), want ErrRefused that names the path, and the ways out", err, cluster.Hint(err))
		}

		next, _ := l.Configuration()
		database("b")(&next)
		steps, err := l.Preview(l.ctx, next)
		l.ok(err)
		if last := steps[len(steps)-1]; last.Kind != "refuse to move" || !strings.Contains(last.Reason, "/cache") {
			t.Errorf("the plan ends with %+v", last)
		}
		l.configure(database("b"))
		m := l.wantPhase(cluster.PhaseRolledBack)
		if m.Ready || !strings.Contains(m.Reason, "/cache") || !strings.Contains(m.Reason, "scratch") {
			t.Errorf("it ended because %s", m.Reason)
		}
		l.wantWish("a")
		if s := l.host("b").assignment(); len(s.Arriving) != 0 {
			t.Errorf("the target was asked to get ready: %+v", s.Arriving)
		}
	})
}

// TestWhatWasSetAsideForbidsAMove: an application that is stopped has its data still. What is refused starts it
// nowhere.
func TestWhatWasSetAsideForbidsAMove(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.configure(database(""))
		l.host("a").act()
		l.host("a").state.Kept = []cluster.Kept{{Application: "db", Path: "/cache", Volume: "drover-db.cache-1"}, {Application: "web", Path: "/uploads"}}
		l.host("a").report()
		next, _ := l.Configuration()
		database("b")(&next)
		_, planned := l.Preview(l.ctx, next)
		_, deployed := l.Configure(l.ctx, 0, next)
		for what, err := range map[string]error{"plan": planned, "deploy": deployed} {
			if !errors.Is(err, cluster.ErrInvalid) || !strings.Contains(err.Error(), "/cache") || strings.Contains(err.Error(), "/uploads") {
				t.Errorf("the %s: %v", what, err)
			}
		}
		if now, _ := l.Configuration(); now.Applications["db"].Node != "" {
			t.Errorf("it is placed on %s now", now.Applications["db"].Node)
		}
		l.configure(database("a")) // where its data are
	})
}

// TestAPlanSaysWhatIsLeftBehind, also of an application that has no volume and does not run.
func TestAPlanSaysWhatIsLeftBehind(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.host("a").state.Kept = []cluster.Kept{{Application: "site", Path: "/uploads", Volume: "drover-site.uploads-1"}}
		l.host("a").report()
		l.host("b")
		next, _ := l.Configuration()
		for node, want := range map[cluster.NodeID]bool{"a": false, "b": true} {
			site(node)(&next)
			steps, err := l.Preview(l.ctx, next)
			l.ok(err)
			said := slices.ContainsFunc(steps, func(s wire.PlannedStep) bool {
				return s.Node == "node-a" && s.Subject == "site" && containsAll(s.Reason, []string{"/uploads", "drover-site.uploads-1"})
			})
			if said != want {
				t.Errorf("on %s: %+v", node, steps)
			}
		}
	})
}

// TestWhatMayBeLostForbidsNoMove: nor does what the volume covers now.
func TestWhatMayBeLostForbidsNoMove(t *testing.T) {
	for path, edit := range map[string]func(*cluster.Application){
		"/cache": func(a *cluster.Application) { a.Scratch = []string{"/cache"} },
		"/data":  func(*cluster.Application) {},
	} {
		inLab(t, func(t *testing.T, l *lab) {
			l.runDatabase()
			l.host("a").keep("db", path)
			l.configure(func(c *cluster.Configuration) {
				database("b")(c)
				app := c.Applications["db"]
				edit(&app)
				c.Applications["db"] = app
			})
			l.wantPhase(cluster.PhasePrepare)
		})
	}
}

// TestAnApplicationWithoutAVolumeLeavesNothingBehind, however it is placed elsewhere.
func TestAnApplicationWithoutAVolumeLeavesNothingBehind(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(site("a"))
		l.host("a").act()
		l.host("a").keep("site", "/uploads")
		next, _ := l.Configuration()
		site("b")(&next)
		if _, err := l.Configure(l.ctx, 0, next); !errors.Is(err, cluster.ErrInvalid) || !strings.Contains(err.Error(), "applications.site.node: ") ||
			!strings.Contains(err.Error(), "/uploads") {
			t.Errorf("a deploy: %v", err)
		}
		if _, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "site", To: "b"}); !errors.Is(err, cluster.ErrRefused) {
			t.Errorf("a move: %v", err)
		}
		app := next.Applications["site"]
		app.Scratch = []string{"/uploads"}
		next.Applications["site"] = app
		if _, err := l.Configure(l.ctx, 0, next); err != nil {
			t.Errorf("what may be lost: %v", err)
		}
	})
}

// TestWhatIsStoppedLeavesNothingBehind: it goes back to its data, and nowhere else without a word.
func TestWhatIsStoppedLeavesNothingBehind(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(site(""))
		a := l.host("a")
		l.host("b")
		a.state.Kept = []cluster.Kept{{Application: "site", Path: "/uploads", Volume: "drover-site.uploads-1"}}
		a.report()
		next, _ := l.Configuration()
		site("b")(&next)
		if _, err := l.Configure(l.ctx, 0, next); !errors.Is(err, cluster.ErrInvalid) || !containsAll(err.Error(), []string{"applications.site.node: ", "/uploads", "node-a"}) {
			t.Errorf("a deploy elsewhere: %v", err)
		}
		if _, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "site", To: "b"}); !errors.Is(err, cluster.ErrRefused) {
			t.Errorf("a move elsewhere: %v", err)
		}
		site("a")(&next)
		if _, err := l.Configure(l.ctx, 0, next); err != nil {
			t.Errorf("back to where it was: %v", err)
		}
	})
}
