package localcluster

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A Process is one process of a cluster.
type Process struct {
	// LogFile keeps what the process wrote, and what its predecessors did.
	LogFile string

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// startProcess starts a command, which finds programs in bin first: the examples name drover as a
// user would, without a path.
func startProcess(cmd *exec.Cmd, bin string, environment []string, logFile string) (*Process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	path := bin + string(os.PathListSeparator) + os.Getenv("PATH")
	cmd.Env = append(append(os.Environ(), "PATH="+path), environment...)
	cmd.Stdout, cmd.Stderr = log, log
	// A Ctrl-C at the terminal is for the program that runs the cluster, which ends it in order. If that
	// program is killed, the cluster ends too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{LogFile: logFile, cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // see Ended
	}()
	return p, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended says how a process ended that has.
func (p *Process) Ended() string { return p.cmd.ProcessState.String() }

// Alive reports whether it has not ended.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the process by SIGKILL and waits until it is gone.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Freeze stops the process from running, as a host that hangs would; Thaw lets it go on.
func (p *Process) Freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// Frozen reports whether the process is stopped.
func (p *Process) Frozen() bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	_, state, _ := strings.Cut(string(b), ") ")
	return err == nil && strings.HasPrefix(state, "T")
}

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// Stop asks the process to end, and ends it by SIGKILL when it has not within the time.
func (p *Process) Stop(patience time.Duration) {
	if !p.Alive() {
		return
	}
	// It may have ended between the two lines; then there is nobody to tell.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.Kill()
	}
}

func (p *Process) end(signal os.Signal) {
	_ = p.cmd.Process.Signal(signal) // already gone is as good
	<-p.done
}

// Tail returns the last lines of the log, for an error message.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.LogFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}
