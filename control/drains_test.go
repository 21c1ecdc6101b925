package control

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// TestAnApplicationWithoutAVolumeRunsOnUntilItDoesElsewhere: to be healthy there for a moment is not enough.
func TestAnApplicationWithoutAVolumeRunsOnUntilItDoesElsewhere(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(site("a"))
		a, b := l.host("a"), l.host("b")
		a.act()
		l.configure(site("b"))
		runsOnA := func(why string, want bool) {
			t.Helper()
			told := a.assignment()
			runs := slices.ContainsFunc(told.Applications, func(app cluster.Application) bool { return app.Name == "site" })
			if drains := len(told.Drains) == 1; runs != want || drains != want {
				t.Errorf("%s: it is to run on a: %t, %+v", why, runs, told.Drains)
			}
		}
		runsOnA("nothing runs on b yet", true)
		told := b.assignment()
		if len(told.Arriving) != 1 || told.Arriving[0].From != "a" || told.Arriving[0].Application.Name != "site" {
			t.Errorf("b is told that %+v arrives", told.Arriving)
		}
		b.obey(told)
		b.state.Applications[0].Healthy, b.state.Applications[0].Reason = false, "its image is not to be had"
		b.report()
		runsOnA("it cannot run on b", true)
		l.wantRoute(cluster.Route{External: 8080, Application: "site", Mode: cluster.Forward, Endpoint: "a:80"})
		b.state.Applications[0].Healthy, b.state.Applications[0].Settling = true, "it has just been started"
		b.report()
		runsOnA("it may end at once on b", true)
		b.state.Applications[0].Settling = ""
		b.report()
		runsOnA("it runs on b", false)
		if told := b.assignment(); len(told.Arriving) != 0 {
			t.Errorf("%+v still arrives", told.Arriving)
		}
		l.wantRoute(cluster.Route{External: 8080, Application: "site", Mode: cluster.Forward, Endpoint: "b:80"})
	})
}

// TestAnApplicationWithoutAVolumeLeavesANodeThatIsSilent: it is placed elsewhere, and it is said what may still
// run where it was.
func TestAnApplicationWithoutAVolumeLeavesANodeThatIsSilent(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(site("a"))
		a, b := l.host("a"), l.host("b")
		a.act()
		a.sleep()
		time.Sleep(wire.LivenessWindow + time.Second)
		b.report()
		m, err := l.RequestMove(l.ctx, wire.MoveRequest{Application: "site", To: "b"})
		if l.ok(err); !strings.Contains(m.Reason, "node-a is not heard of, and may still run it") {
			t.Errorf("it is said that it is %s", m.Reason)
		}
		b.act()
		l.wantRoute(cluster.Route{External: 8080, Application: "site", Mode: cluster.Forward, Endpoint: "b:80"})
	})
}
