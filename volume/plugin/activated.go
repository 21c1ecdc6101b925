package plugin

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	docker "github.com/docker/go-plugins-helpers/volume"
)

// firstPassed is the descriptor of the first socket that systemd passes on: see sd_listen_fds(3).
const firstPassed = 3

// Activated returns the socket that systemd listens on for this process, or nil if there is none. It outlives
// this process: who comes while it is dead waits for the next one. It is to be called once.
func Activated() (net.Listener, error) {
	pid, n := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name) // it is not for children
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	if n != "1" {
		return nil, fmt.Errorf("systemd passes on %s sockets: want one, for the plugin", n)
	}
	file := os.NewFile(firstPassed, "plugin")
	defer file.Close() // the listener has a duplicate
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("listen on the socket of systemd: %w", err)
	}
	return listener, nil
}

// ServeOn answers engines on a socket that somebody else keeps, until ctx ends, which breaks off what is under way.
func (d *Driver) ServeOn(ctx context.Context, listener net.Listener) error {
	d.ctx = ctx
	served := make(chan error, 1)
	go func() { served <- docker.NewHandler(d).Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		d.end(listener)
		return ctx.Err()
	}
}
