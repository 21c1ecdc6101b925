package process

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// watchHealth looks at an instance until every process of it is gone: it may be one that the
// leader has left behind that serves.
func (i *instance) watchHealth(current *run) {
	ctx, cancel := context.WithCancel(i.runtime.ctx)
	defer cancel()
	go func() {
		select {
		case <-current.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	runtime.WatchHealth(ctx, i.made.Spec.Application.Health, i.check, func(unhealthy error) {
		i.note(unhealthy == nil, current)
		if unhealthy == nil {
			i.rotate()
		}
	})
}

// note keeps the result of a check of a run that has not ended.
func (i *instance) note(healthy bool, current *run) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.run == current && i.healthy != healthy {
		i.healthy = healthy
		i.runtime.signal()
	}
}

// check returns nil if the health check passes or, without one, every port accepts.
func (i *instance) check(ctx context.Context) error {
	if health := i.made.Spec.Application.Health; health != nil {
		return i.exec(ctx, health.Command)
	}
	for _, endpoint := range i.state().Endpoints { // the next start may choose others
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", endpoint)
		if err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

// Exec implements runtime.Runtime.
func (r *Runtime) Exec(ctx context.Context, name cluster.AppName, command []string) error {
	i, err := r.find(name)
	if err != nil {
		return err
	}
	return i.exec(ctx, command)
}

// exec runs a command as the application's user, with its environment. Its error has what the
// command wrote.
func (i *instance) exec(ctx context.Context, command []string) error {
	i.mu.Lock()
	own, err := i.command()
	i.mu.Unlock()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env = own.Dir, commandEnvironment(own.Env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: own.SysProcAttr.Credential}
	cmd.WaitDelay = time.Second // for what it may have left behind with its output open
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", command[0], err, strings.TrimSpace(said.String()))
	}
	return nil
}

// commandEnvironment leaves out the token: a command that hangs must not keep its application from
// counting as gone.
func commandEnvironment(environment []string) []string {
	var kept []string
	for _, entry := range environment {
		if len(entry) <= len(tokenVariable) || entry[:len(tokenVariable)+1] != tokenVariable+"=" {
			kept = append(kept, entry)
		}
	}
	return kept
}
