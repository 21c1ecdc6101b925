package process

import (
	"context"
	"errors"
	"fmt"
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
	leader identity
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
	output, err := os.OpenFile(filepath.Join(i.dir, outputFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	// The record comes first: after a crash the token finds a process that no record names.
	i.record = record{Begun: true, Started: time.Now()}
	i.save()
	if err := cmd.Start(); err != nil {
		i.ended(-1, err.Error())
		return err
	}
	i.record.Process = identify(cmd.Process.Pid)
	i.save()
	i.watch(i.record.Process, cmd)
	return nil
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
	for len(withToken(i.made.Token)) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(stragglerPoll):
		}
	}
	i.mu.Lock()
	i.ended(status, reason)
	i.mu.Unlock()
	close(current.done)
	i.runtime.signal()
}

// stragglerPoll is how often the processes that outlive their leader are looked for.
const stragglerPoll = 5 * time.Millisecond

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
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return nil // gone already
	}
	defer unix.Close(fd)
	for p.alive() {
		// A short time-out, so that Close need not wait for the application.
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 200)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
