package remote

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	ossignal "os/signal"
	"strconv"
	"syscall"
)

// passed are the signals that a client passes on to its command.
var passed = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// Run runs a command at the other end of a connection to its end, and returns its exit status. This
// process gets its signals, and stops when it stops.
func Run(conn net.Conn, c Command, stdin io.Reader, stdout, stderr io.Writer) (status int, err error) {
	w := &wire{rw: conn}
	if err := w.start(c); err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 16)
	ossignal.Notify(signals, passed...)
	defer ossignal.Stop(signals)
	go func() {
		for s := range signals {
			_ = w.number(signal, int(s.(syscall.Signal))) // a broken connection is seen below
		}
	}()
	go func() {
		_, _ = io.Copy(stream{w, input}, stdin)
		_ = w.send(input, nil)
	}()
	for {
		kind, payload, err := w.receive()
		switch {
		case err != nil:
			return 0, fmt.Errorf("the connection broke before the command ended: %w", err)
		case kind == output:
			_, err = stdout.Write(payload)
		case kind == trouble:
			_, err = stderr.Write(payload)
		case kind == stopped:
			err = stop(w)
		case kind == failed:
			return 0, errors.New(string(payload))
		case kind == ended:
			return strconv.Atoi(string(payload))
		}
		if err != nil {
			return 0, err
		}
	}
}

// stop stops this process until somebody lets it go on, and then lets the command go on.
func stop(w *wire) error {
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		return err
	}
	return w.number(signal, int(syscall.SIGCONT))
}
