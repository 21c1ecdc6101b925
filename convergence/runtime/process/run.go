package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// A run is the life of one process of an instance.
type run struct {
	leader identity      // under the instance's mu
	done   chan struct{} // closed when every process of the instance is gone
}

// Start implements runtime.Runtime.
func (r *Runtime) Start(_ context.Context, name cluster.AppName) error {
	i, err := r.find(name)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.run != nil {
		return nil
	}
	if err := i.start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	r.signal()
	return nil
}

// start starts the process; the caller holds mu.
func (i *instance) start() error {
	if err := i.choosePorts(); err != nil {
		return err
	}
	cmd, err := i.command()
	if err != nil {
		return err
	}
	output, err := i.output()
	if err != nil {
		return err
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	// The record comes first: after a crash the token finds a process that no record names.
	i.record = record{Begun: true, Started: time.Now()}
	i.save()
	if err := cmd.Start(); err != nil {
		if user := i.made.Spec.Application.User; user != "" && errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w (%s reaches its volume only if the top of it belongs to that user)", err, user)
		}
		i.ended(-1, err.Error())
		return err
	}
	leader, err := stat(cmd.Process.Pid)
	if err != nil {
		// It could neither be stopped nor be found again.
		err = errors.Join(err, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		i.ended(-1, err.Error())
		return err
	}
	i.record.Process = leader.identity
	i.save()
	i.watch(leader.identity, cmd)
	return nil
}

// output opens the file of what the application writes.
func (i *instance) output() (*os.File, error) {
	return os.OpenFile(filepath.Join(i.dir, outputFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// command is the application's own command in a session of its own, with its environment.
func (i *instance) command() (*exec.Cmd, error) {
	app := i.made.Spec.Application
	cmd := exec.Command(app.Command[0], app.Command[1:]...)
	cmd.Dir = i.made.Spec.VolumePath
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Env = i.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	credential, err := credentialOf(app.User)
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr.Credential = credential
	return cmd, nil
}

// credentialOf returns the ids of another user with all its groups, or nil for the agent's own.
func credentialOf(name string) (*syscall.Credential, error) {
	if name == "" {
		return nil, nil
	}
	uid, gid, err := runtime.Account(name)
	if err != nil {
		return nil, err
	}
	if uid == os.Getuid() {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, id := range ids {
		var group uint32
		if _, err := fmt.Sscan(id, &group); err != nil {
			return nil, fmt.Errorf("group %q of %s: %w", id, name, err)
		}
		c.Groups = append(c.Groups, group)
	}
	return c, nil
}

// watch follows a process until the whole instance is gone. Cmd is nil for a process that an
// earlier agent started. The caller holds mu, or is the only one to know i.
func (i *instance) watch(leader identity, cmd *exec.Cmd) {
	current := &run{leader: leader, done: make(chan struct{})}
	i.run = current
	i.runtime.watches.Go(func() { i.watchHealth(current) })
	if cmd != nil {
		// Not among the watches: a child must be waited for whenever it ends.
		go func() {
			status, reason := outcome(cmd.Wait())
			if i.runtime.ctx.Err() != nil {
				return // closed: the records are those of whoever has opened them since
			}
			i.finish(context.Background(), current, status, reason)
		}()
		return
	}
	i.runtime.watches.Go(func() {
		err := waitFor(i.runtime.ctx, leader)
		if err == nil {
			i.finish(i.runtime.ctx, current, 0, "ended; its exit status went to an earlier agent")
		}
	})
}

// finish waits for what the leader left behind, and notes the end.
func (i *instance) finish(ctx context.Context, current *run, status int, reason string) {
	for {
		left, err := withToken(i.made.Token)
		if err == nil && len(left) == 0 {
			break
		}
		for _, p := range left {
			if err == nil {
				err = waitFor(ctx, p.identity)
			}
		}
		if err == nil {
			continue
		}
		// What cannot be seen may be there: it counts as running.
		select {
		case <-ctx.Done():
			return
		case <-time.After(blindPoll):
		}
	}
	i.mu.Lock()
	i.ended(status, reason)
	i.mu.Unlock()
	close(current.done)
	i.runtime.signal()
}

// blindPoll is how often processes that could not be looked for are looked for again.
const blindPoll = 50 * time.Millisecond

// outcome says how a child ended.
func outcome(err error) (status int, reason string) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, "exited with status 0"
	case !errors.As(err, &exit):
		return -1, err.Error()
	}
	if wait, ok := exit.Sys().(syscall.WaitStatus); ok && wait.Signaled() {
		return 128 + int(wait.Signal()), "killed by " + unix.SignalName(wait.Signal())
	}
	return exit.ExitCode(), fmt.Sprintf("exited with status %d", exit.ExitCode())
}

// waitFor waits until a process that is not a child has ended.
func waitFor(ctx context.Context, p identity) error {
	fds := []unix.PollFd{}
	if fd, err := unix.PidfdOpen(p.PID, 0); err == nil {
		defer unix.Close(fd)
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	} // else it is gone, or there is no descriptor left to wait with
	for p.alive() {
		// A short time-out, so that Close need not wait for the application.
		_, err := unix.Poll(fds, 200)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
