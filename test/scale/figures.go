package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/sleep"
)

const (
	changes      = 200 // of which each concerns one agent
	routeChanges = 3   // of which each concerns all; the median counts
	// patience is how long anything is waited for.
	patience = 3 * time.Minute
)

// A figure is what was measured, beside its goal.
type figure struct {
	name, unit  string
	value, goal float64
}

// slack is by how much a goal may be missed.
const slack = 1.25

func (f figure) missed() float64 { return f.value/f.goal - 1 }

type figures struct {
	agents int
	list   []figure
}

func (fs *figures) add(name string, value float64, unit string, goal float64) {
	fs.list = append(fs.list, figure{name, unit, value, goal})
	say("%s: %.3g %s", name, value, unit)
}

// judge prints a table, and all of it once more in the last line. A goal that is missed by more than the slack is an
// error.
func (fs figures) judge(w io.Writer) error {
	var line, missed []string
	for _, f := range fs.list {
		verdict := "met"
		if f.missed() > 0 {
			verdict = fmt.Sprintf("missed by %.0f %%", 100*f.missed())
		}
		fmt.Fprintf(w, "%-48s %8.3g %-5s goal %5.3g  %s\n", f.name, f.value, f.unit, f.goal, verdict)
		line = append(line, fmt.Sprintf("%s %.3g %s", f.name, f.value, f.unit))
		if f.value > slack*f.goal {
			missed = append(missed, f.name+" "+verdict)
		}
	}
	fmt.Fprintf(w, "%d agents: %s\n", fs.agents, strings.Join(line, "; "))
	if len(missed) > 0 {
		return errors.New(strings.Join(missed, "; "))
	}
	return nil
}

// measure brings all agents up, and measures one thing after the other.
func measure(ctx context.Context, s *service, f *fleet, o options) (*figures, error) {
	fs := &figures{agents: o.agents}
	began := time.Now()
	up, err := await(ctx, f, "all agents to be up", func(t tally) bool { return t.Up == o.agents })
	if err != nil {
		return nil, err
	}
	say("all agents were up in %s, having sent and received %d MB", since(began), up.Bytes>>20)
	for _, step := range []func(context.Context, *service, *fleet, options, *figures) error{steady, change, route, restart} {
		if err := sleep.For(ctx, 5*time.Second); err != nil { // what comes before has died away
			return nil, err
		}
		if err := step(ctx, s, f, o, fs); err != nil {
			return nil, err
		}
	}
	return fs, nil
}

// await waits until the agents have seen something.
func await(ctx context.Context, f *fleet, what string, until func(tally) bool) (tally, error) {
	deadline := time.Now().Add(patience)
	for {
		t, err := f.count()
		if err != nil || until(t) {
			return t, err
		}
		if time.Now().After(deadline) {
			return t, fmt.Errorf("wait %s for %s: %d up, %d calls failed: %s", patience, what, t.Up, t.Failures, t.Failure)
		}
		if err := sleep.For(ctx, 50*time.Millisecond); err != nil {
			return t, err
		}
	}
}

// steady: nothing happens but heartbeats.
func steady(ctx context.Context, s *service, f *fleet, o options, fs *figures) error {
	before, err := f.count()
	if err != nil {
		return err
	}
	cpu, _, err := s.used()
	began := time.Now()
	if err != nil {
		return err
	}
	if err := sleep.For(ctx, o.steady); err != nil {
		return err
	}
	cpuAfter, memory, err := s.used()
	took := time.Since(began).Seconds()
	if err != nil {
		return err
	}
	after, err := f.count()
	if err != nil {
		return err
	}
	beats := float64(after.Beats-before.Beats) / took
	say("%.0f heartbeats a second, %d calls failed, %d agents up, %.0f KB a second", beats, after.Failures-before.Failures, after.Up,
		float64(after.Bytes-before.Bytes)/took/1000)
	if beats < 0.9*float64(o.agents) {
		return fmt.Errorf("of %d agents come %.0f heartbeats a second: this machine is too busy to tell", o.agents, beats)
	}
	fs.add("steady", (cpuAfter-cpu).Seconds()/took, "cores", 0.25)
	fs.add("memory", float64(memory)/1e6, "MB", 400)
	return nil
}

// change makes volumes, each of which concerns one agent.
func change(ctx context.Context, s *service, f *fleet, o options, fs *figures) error {
	made := map[string]time.Time{}
	for i := range changes {
		name := fmt.Sprint(probe, i)
		made[name] = time.Now()
		if _, err := s.user.CreateVolume(ctx, wire.VolumeRequest{Name: name, Node: string(nodeID(i * 7919 % o.agents))}); err != nil {
			return err
		}
		if err := sleep.For(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	seen, err := await(ctx, f, "every change to be known", func(t tally) bool { return len(t.Probes) == changes })
	if err != nil {
		return err
	}
	var took []time.Duration
	for name, at := range made {
		took = append(took, seen.Probes[name].Sub(at))
	}
	slices.Sort(took)
	say("a change at its agent: median %s, worst %s", took[changes/2], took[changes-1])
	fs.add("a change at its agent, p99", took[changes*99/100-1].Seconds()*1000, "ms", 50)
	return nil
}

// route has one node report another endpoint, which all are told.
func route(ctx context.Context, s *service, f *fleet, o options, fs *figures) error {
	var took, bytes []float64
	for i := range routeChanges {
		to := fmt.Sprintf("10.0.0.1:%d", 6000+i)
		before, err := f.ask(order{Do: "expect", Agent: 1 % o.agents, Endpoint: to})
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := f.ask(order{Do: "serve", Agent: 1 % o.agents, Endpoint: to}); err != nil {
			return err
		}
		after, err := await(ctx, f, "a route to be known to all", func(t tally) bool { return t.Expecting == o.agents })
		if err != nil {
			return err
		}
		took, bytes = append(took, after.Last.Sub(began).Seconds()), append(bytes, float64(after.Bytes-before.Bytes)/1e6)
		if err := sleep.For(ctx, 2*time.Second); err != nil {
			return err
		}
	}
	slices.Sort(took)
	slices.Sort(bytes)
	fs.add("a route at all agents", took[routeChanges/2], "s", 1)
	fs.add("a route, bytes to and from all", bytes[routeChanges/2], "MB", 20)
	return nil
}

// restart kills the service and starts it again.
func restart(ctx context.Context, s *service, f *fleet, o options, fs *figures) error {
	before, err := f.count()
	if err != nil {
		return err
	}
	s.kill()
	if _, err := f.ask(order{Do: "away"}); err != nil {
		return err
	}
	began := time.Now()
	if err := s.start(ctx); err != nil {
		return err
	}
	say("the service answers after %s", since(began))
	after, err := await(ctx, f, "all agents to be back", func(t tally) bool { return t.Up == o.agents })
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	cpu, memory, err := s.used()
	if err != nil {
		return err
	}
	say("it has used %.1f s of a processor and %d MB of memory; agents sent and received %d MB, and %d calls failed (%s)", cpu.Seconds(), memory/1e6,
		(after.Bytes-before.Bytes)/1e6, after.Failures-before.Failures, after.Failure)
	fs.add("all agents back after a restart", took, "s", 30)
	return nil
}
