package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// Stop implements runtime.Runtime. It asks by the user's signal, else the image's own.
//
// It returns when the first process of the container is gone, and with it all others: the kernel
// ends them before. The engine itself notices that a good deal later.
func (r *Runtime) Stop(ctx context.Context, name cluster.AppName) error {
	c, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	return r.end(ctx, c, strings.ToUpper(c.Config.StopSignal), readLabels(c.Config.Labels).patience)
}

// Kill implements runtime.Runtime.
func (r *Runtime) Kill(ctx context.Context, name cluster.AppName) error {
	c, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	return r.end(ctx, c, "SIGKILL", 0)
}

// end sends a signal and waits until the container has ended, or patience is over, if there is a
// bound to it.
func (r *Runtime) end(ctx context.Context, c container.InspectResponse, signal string, patience time.Duration) error {
	if !c.State.Running {
		return nil
	}
	if signal == "" {
		signal = "SIGTERM"
	}
	if err := r.keep(c.ID, record{Boot: r.boot, Asked: true}); err != nil {
		return err
	}
	waitCtx := ctx
	if patience > 0 {
		var cancel context.CancelFunc
		waitCtx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	pidfd, err := unix.PidfdOpen(c.State.Pid, 0)
	if err == nil {
		defer unix.Close(pidfd)
	}
	_, killErr := r.engine.ContainerKill(waitCtx, c.ID, client.ContainerKillOptions{Signal: signal})
	if killErr != nil && !errdefs.IsNotFound(killErr) && !errdefs.IsConflict(killErr) && waitCtx.Err() == nil {
		return fmt.Errorf("send %s: %w", signal, r.kind(killErr))
	}
	if err == nil && killErr == nil {
		err = waitProcess(waitCtx, pidfd)
	} else {
		// It had ended before, and its process id may be another one's by now.
		err = r.waitEnded(waitCtx, c.ID)
	}
	switch {
	case err == nil:
		r.unwatch(c.ID)
		r.signal()
		return nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("%s ignored %s for %s: %w", readLabels(c.Config.Labels).name, signal, patience, runtime.ErrStillRunning)
	}
	// If it ends from now on, it ended by itself.
	return errors.Join(err, r.keep(c.ID, record{Boot: r.boot}))
}

// waitProcess waits until a process has ended.
func waitProcess(ctx context.Context, pidfd int) error {
	for {
		// A short time-out, so that an end of the context is noticed.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 100)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return os.NewSyscallError("poll", err)
		case n > 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// waitEnded waits until the engine says that the container does not run.
func (r *Runtime) waitEnded(ctx context.Context, id string) error {
	wait := r.engine.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case <-wait.Result:
		return nil
	case err := <-wait.Error:
		if errdefs.IsNotFound(err) {
			return nil
		}
		return r.kind(err)
	}
}

// gone reports whether a process has ended. One that nobody has waited for yet has.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return os.IsNotExist(err) && unix.Kill(pid, 0) != nil
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(after, "Z") || strings.HasPrefix(after, "X")
}

// endReason says how a container ended.
func endReason(s *container.State) string {
	switch {
	case s.OOMKilled:
		return "killed: it used more memory than its limit"
	case s.Error != "":
		return s.Error
	case s.ExitCode > 128 && s.ExitCode <= 128+64:
		return "killed by " + unix.SignalName(unix.Signal(s.ExitCode-128))
	default:
		return fmt.Sprintf("exited with status %d", s.ExitCode)
	}
}
