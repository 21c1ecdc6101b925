package process

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// Stop implements runtime.Runtime. The signal goes to the process that was started, as an engine
// sends it to the first process of a container, or to the one that it left in its place; what that one started is
// its to stop.
func (r *Runtime) Stop(ctx context.Context, name cluster.AppName) error {
	i, err := r.find(name)
	if err != nil {
		return err
	}
	policy := i.made.Spec.Application.Stop
	signal, err := signalOf(policy.Signal)
	if err != nil {
		return err
	}
	current := i.ask(true, func(current *run) {
		if !current.leader.alive() { // one that is a daemon has left a process in its place
			left, err := withToken(i.made.Token)
			if err != nil {
				r.log.Warn("cannot look for what an application that is to stop has left", "app", name, "error", err)
			}
			current.leader = leaderOf(left)
		}
		if current.leader.alive() {
			_ = syscall.Kill(current.leader.PID, signal) // it may end in between
		}
	})
	if current == nil {
		return nil
	}
	timer := time.NewTimer(policy.Patience())
	defer timer.Stop()
	select {
	case <-current.done:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fmt.Errorf("%s ignored %s for %s: %w", name, unix.SignalName(signal), policy.Patience(), runtime.ErrStillRunning)
	}
	// If it ends from now on, it ended by itself.
	i.ask(false, func(*run) {})
	return err
}

// Kill implements runtime.Runtime.
func (r *Runtime) Kill(ctx context.Context, name cluster.AppName) error {
	i, err := r.find(name)
	if err != nil {
		return err
	}
	for {
		current := i.ask(true, func(current *run) {
			marked, err := withToken(i.made.Token)
			if err != nil {
				r.log.Warn("cannot look for all processes of an application that is to be killed", "app", name, "error", err)
			}
			for _, p := range append(marked, status{identity: current.leader}) {
				if p.alive() {
					_ = syscall.Kill(p.PID, syscall.SIGKILL) // it may end in between
				}
			}
		})
		if current == nil {
			return nil
		}
		// What is killed may have started more just before.
		select {
		case <-current.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ask notes whether an end is asked for, and acts on the process that runs. It returns nil when
// none does.
func (i *instance) ask(asked bool, act func(*run)) *run {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.run == nil {
		return nil
	}
	i.record.Asked = asked
	i.save()
	act(i.run)
	return i.run
}

// signalOf returns a signal by its name, with or without SIG.
func signalOf(name string) (syscall.Signal, error) {
	if name == "" {
		return syscall.SIGTERM, nil
	}
	for _, candidate := range []string{name, "SIG" + name} {
		if s := unix.SignalNum(candidate); s != 0 {
			return s, nil
		}
	}
	return 0, fmt.Errorf("%w: stop signal %q: want a name such as SIGTERM", cluster.ErrInvalid, name)
}
