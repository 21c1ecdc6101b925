package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/drover/drover/control/client"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/internal/pki"
	"github.com/drover/drover/internal/sleep"
)

// A service is the process that is measured.
type service struct {
	binary, dir, address string
	cmd                  *exec.Cmd
	user                 *client.Client
}

// prepare writes what it will find: certificates, and a store.
func (s *service) prepare(ctx context.Context, nodes int) error {
	if _, err := pki.Init(filepath.Join(s.dir, "pki"), "scale", "127.0.0.1"); err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Join(s.dir, "data"), 0o700); err != nil {
		return err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.address = free.Addr().String()
	if err := free.Close(); err != nil {
		return err
	}
	if s.user, err = client.FromFiles(s.address, filepath.Join(s.dir, "pki"), pki.User); err != nil {
		return err
	}
	return writeCluster(ctx, filepath.Join(s.dir, "data", "control.db"), nodes)
}

// start starts the process, and waits until it answers.
func (s *service) start(ctx context.Context) error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.binary, "control", "--data", filepath.Join(s.dir, "data"), "--pki", filepath.Join(s.dir, "pki"), "--listen", s.address)
	s.cmd.Stderr = log
	// It ends with this process, whatever becomes of it, and not before: Ctrl-C reaches this one alone.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start the control service: %w", err)
	}
	for {
		_, err := s.user.Version(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if ended(s.cmd.Process.Pid) {
			return fmt.Errorf("the control service has ended: %w%s", err, s.lastWords())
		}
		if err := sleep.For(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// kill ends it as a power cut would.
func (s *service) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *service) log() string { return filepath.Join(s.dir, "control.log") }

// lastWords is the end of its log.
func (s *service) lastWords() string {
	text, err := os.ReadFile(s.log())
	if err != nil || len(text) == 0 {
		return ""
	}
	return "\nthe control service said last:\n" + string(text[max(0, len(text)-2000):])
}

// ended reports whether a child has ended, though nobody has waited for it.
func ended(pid int) bool {
	fields, err := stat(pid)
	return err != nil || fields[0] == "Z"
}

// stat returns the fields of /proc/PID/stat from the state on.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return nil, errors.New("/proc/PID/stat is not as it should be")
	}
	return fields, nil
}

// used returns what the process has used of a processor, and the memory that it takes up.
func (s *service) used() (cpu time.Duration, memory int64, err error) {
	fields, err := stat(s.cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	pages, err3 := strconv.ParseInt(fields[21], 10, 64)
	const ticks = 100 // a second, for everybody who asks Linux
	return time.Duration(user+system) * time.Second / ticks, pages * int64(os.Getpagesize()), errors.Join(err1, err2, err3)
}
