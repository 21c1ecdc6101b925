package process

import (
	"cmp"
	"context"
	"net"
	"os/exec"
	"syscall"
	"time"
)

const (
	// startPoll is how often a process is looked at until it is healthy for the first time: in
	// a move, clients wait for that.
	startPoll = 5 * time.Millisecond
	// steadyPoll is how often afterwards, unless the health check says.
	steadyPoll = time.Second
	// checkTimeout bounds one look, unless the health check says.
	checkTimeout = 2 * time.Second
)

// watchHealth looks at an instance until every process of it is gone: it may be one that the
// leader has left behind that serves.
func (i *instance) watchHealth(current *run) {
	wait := startPoll
	for {
		healthy := i.check()
		i.note(healthy, current)
		if healthy {
			wait = steadyPoll
			if h := i.made.Spec.Application.Health; h != nil && h.Interval > 0 {
				wait = h.Interval
			}
			i.rotate()
		}
		select {
		case <-current.done:
			return
		case <-i.runtime.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
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

// check reports whether the health check passes or, without one, every port accepts.
func (i *instance) check() bool {
	app := i.made.Spec.Application
	if app.Health == nil {
		for internal := range i.made.Ports {
			conn, err := net.DialTimeout("tcp", i.endpoint(internal), checkTimeout)
			if err != nil {
				return false
			}
			conn.Close()
		}
		return true
	}
	ctx, cancel := context.WithTimeout(i.runtime.ctx, cmp.Or(app.Health.Timeout, checkTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, app.Health.Command[0], app.Health.Command[1:]...)
	own, err := i.command()
	if err != nil {
		return false
	}
	cmd.Dir, cmd.Env = own.Dir, healthEnvironment(own.Env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: own.SysProcAttr.Credential}
	return cmd.Run() == nil
}

// healthEnvironment leaves out the token: a check that hangs must not keep its application from
// counting as gone.
func healthEnvironment(environment []string) []string {
	var kept []string
	for _, entry := range environment {
		if len(entry) <= len(tokenVariable) || entry[:len(tokenVariable)+1] != tokenVariable+"=" {
			kept = append(kept, entry)
		}
	}
	return kept
}
