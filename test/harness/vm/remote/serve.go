package remote

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Serve runs the commands of every connection until the listener fails.
func Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			serve(&wire{rw: conn})
		}()
	}
}

// serve runs one command. Nobody is left to hear of an error of the connection.
func serve(w *wire) {
	kind, payload, err := w.receive()
	var c Command
	if err != nil || kind != start || json.Unmarshal(payload, &c) != nil || len(c.Args) == 0 {
		return
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = stream{w, output}, stream{w, trouble}
	cmd.WaitDelay = time.Second // what it leaves running may keep its output open
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		_ = w.send(failed, []byte(err.Error()))
		return
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		obey(w, cmd.Process, in)
	}()
	watch(w, cmd.Process.Pid)
	_ = cmd.Wait() // the state tells how it ended
	_ = w.number(ended, status(cmd.ProcessState.Sys().(syscall.WaitStatus)))
	<-gone
}

// obey does what the client says until it is gone, and then the command is too.
func obey(w *wire, process *os.Process, in io.WriteCloser) {
	defer in.Close()
	for {
		kind, payload, err := w.receive()
		switch {
		case err != nil:
			_ = process.Kill() // it may have ended by itself
			return
		case kind == input && len(payload) == 0:
			in.Close()
		case kind == input:
			_, _ = in.Write(payload) // a command need not read its input
		case kind == signal:
			if n, err := strconv.Atoi(string(payload)); err == nil {
				_ = process.Signal(syscall.Signal(n))
			}
		}
	}
}

// watch tells of every stop of a process until it has ended. It leaves it to be waited for.
func watch(w *wire, pid int) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || info.Code != cldStopped {
			return
		}
		// Taken by itself, so that the end is not.
		if err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG, nil); err == nil {
			_ = w.send(stopped, nil)
		}
	}
}

// cldStopped is CLD_STOPPED of the C library: a child was stopped by a signal.
const cldStopped = 5

func status(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}
