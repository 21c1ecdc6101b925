package convergence

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
)

// running has one instance.
type running struct {
	host
	i *runtime.Instance
}

func (r running) Instances(context.Context) ([]runtime.Instance, error) {
	return []runtime.Instance{*r.i}, nil
}

// TestWhatRunsIsWhatIsWanted: an application settles when what runs was made from what is wanted, and has
// not ended for a while; a longer one after each time that it did.
func TestWhatRunsIsWhatIsWanted(t *testing.T) {
	a, _ := newVolumeAgent(t)
	app := cluster.Application{Name: "web", Image: "two", Restart: cluster.RestartPolicy{Name: cluster.RestartAlways}}
	a.setAssignment(cluster.Assignment{Node: "a", Applications: []cluster.Application{app}})
	made := func(image string) string {
		app.Image = image
		return runtime.Spec{Application: app}.Fingerprint()
	}
	i := &runtime.Instance{Name: "web", Running: true, Healthy: true}
	a.Runtime = running{i: i}
	want := func(image string, age time.Duration, settling string) {
		t.Helper()
		i.Fingerprint, i.Started = made(image), time.Now().Add(-age)
		s, _, err := a.state(t.Context())
		if err != nil || !s.Applications[0].Healthy || s.Applications[0].Settling != settling {
			t.Errorf("%s, %s old: %+v, %v; want it settling because %q", image, age, s.Applications, err, settling)
		}
	}
	want("one", time.Hour, "what runs is of a former definition, and is to be replaced")
	want("two", 0, "it has just been started")
	want("two", 2*time.Second, "")
	want("two", -time.Hour, "") // the clock was set back
	for range 5 {
		i.Running, i.Ended, i.Reason = false, time.Now(), "exited with status 3"
		if _, err := a.observe(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.restarts.starts("web")
		i.Running = true
	}
	want("two", 8*time.Second, "it exited with status 3, and has just been started again (restart 5)")
	want("two", 11*time.Second, "")
	if next := a.pass(t.Context()); next > tick {
		t.Errorf("it looks again in %s", next)
	}
	i.Started = time.Now()
	a.restarts.forget("web")
	if next := a.pass(t.Context()); next > settleFirst {
		t.Errorf("it looks again in %s, and not when the application settles", next)
	}
}

// failing cannot start anything.
type failing struct{ running }

func (failing) Start(context.Context, cluster.AppName) error { return syscall.ENOSPC }

// able can.
type able struct{ running }

func (able) Start(context.Context, cluster.AppName) error { return nil }

// TestAStartThatFailsIsNoRestart: it uses up nothing of the policy; when that is at its end it is said.
func TestAStartThatFailsIsNoRestart(t *testing.T) {
	a, _ := newVolumeAgent(t)
	app := cluster.Application{Name: "web", Restart: cluster.RestartPolicy{Name: cluster.RestartOnFailure, MaximumRetryCount: 3}}
	a.setAssignment(cluster.Assignment{Node: "a", Applications: []cluster.Application{app}})
	r := running{i: &runtime.Instance{Name: "web", Started: time.Now(), Ended: time.Now(), ExitStatus: 7, Reason: "exited with status 7"}}
	start := func(with runtime.Runtime, restarts int, reason string) {
		t.Helper()
		a.Runtime = with
		for range 3 {
			s, _, err := a.state(t.Context())
			if err != nil || s.Applications[0].Restarts > restarts {
				t.Fatalf("%+v, %v", s.Applications, err)
			}
			_ = a.startInstance(t.Context(), plan.Step{Application: "web"}) // what it says is the executor's to show
		}
		s, _, err := a.state(t.Context())
		if err != nil || s.Applications[0].Restarts != restarts || s.Applications[0].Reason != reason {
			t.Errorf("%+v, %v; want %d restarts, and %q", s.Applications, err, restarts, reason)
		}
	}
	start(failing{r}, 0, "exited with status 7")
	start(able{r}, 3, "exited with status 7; not started again: restarts used: 3 of 3")
}

// TestARestartWaitsForNoClock: what ended in the future, since the clock was set back, is started again as soon as
// anything else.
func TestARestartWaitsForNoClock(t *testing.T) {
	var r restarts
	apps := []cluster.Application{{Name: "web", Restart: cluster.RestartPolicy{Name: cluster.RestartAlways}}}
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
		ended := time.Now().Add(ahead)
		i := runtime.Instance{Name: "web", Started: ended, Ended: ended}
		first := r.decide(apps, []runtime.Instance{i})["web"]
		if wait := time.Until(first.At); !first.Again || wait <= 0 || wait > time.Second {
			t.Errorf("ahead by %s: it waits for %s", ahead, wait)
		}
		if again := r.decide(apps, []runtime.Instance{i})["web"]; !again.At.Equal(first.At) {
			t.Errorf("ahead by %s: it waits until %s, and then until %s", ahead, first.At, again.At)
		}
	}
}
