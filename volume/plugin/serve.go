package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	docker "github.com/docker/go-plugins-helpers/volume"
)

// Socket is where engines look for the plugin that is called drover.
const Socket = "/run/docker/plugins/drover.sock"

// errGone: the socket was taken away.
var errGone = errors.New("the socket of the plugin is gone")

// ErrReplaced: a newer process listens on the socket, and this one has answered what it was asked.
var ErrReplaced = errors.New("another plugin listens on the socket now")

const (
	// look is how often a Driver looks whether the socket is still its own.
	look = 500 * time.Millisecond
	// parting is how long a Driver that ends leaves its last answers to be read.
	parting = 200 * time.Millisecond
)

// Serve answers engines on a unix socket until ctx ends, which breaks off what is under way, and then
// takes the socket away: engines do not wait for a plugin whose socket is gone, but long for one that
// does not answer. A socket that is there is replaced, in one step, so that there is always somebody who
// answers; whoever listened on it returns ErrReplaced once it has answered what it was asked. A socket
// that somebody takes away is made again.
func (d *Driver) Serve(ctx context.Context, path string) error {
	d.ctx = ctx
	for {
		err := d.serve(ctx, path)
		if !errors.Is(err, errGone) {
			return err
		}
		d.Log.Warn("the socket of the plugin was taken away and is made again", "socket", path)
	}
}

// serve answers for as long as its socket is there. What it was asked before is answered in any case.
func (d *Driver) serve(ctx context.Context, path string) error {
	listener, mine, err := listen(path)
	if err != nil {
		return fmt.Errorf("listen for engines: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- docker.NewHandler(d).Serve(listener) }()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
			err := removeOwn(path, mine)
			d.end(listener)
			return errors.Join(ctx.Err(), err)
		case <-ticker.C:
			is, err := os.Lstat(path)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return errors.Join(errGone, listener.Close())
			case err == nil && !os.SameFile(is, mine):
				d.end(listener)
				return ErrReplaced
			}
		}
	}
}

// listen makes the socket under another name first.
func listen(path string) (net.Listener, fs.FileInfo, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	fresh := filepath.Join(dir, fmt.Sprintf(".%d", os.Getpid()))
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	listener.SetUnlinkOnClose(false)
	mine, err := os.Lstat(fresh)
	err = errors.Join(err, os.Chmod(fresh, 0o600))
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, nil, errors.Join(err, listener.Close(), os.Remove(fresh))
	}
	return listener, mine, nil
}

func removeOwn(path string, mine fs.FileInfo) error {
	is, err := os.Lstat(path)
	if err != nil || !os.SameFile(is, mine) {
		return nil // somebody else's
	}
	return os.Remove(path)
}

// end takes no more questions and waits until those that were asked are answered.
func (d *Driver) end(listener net.Listener) {
	if err := listener.Close(); err != nil {
		d.Log.Warn("could not stop to listen", "error", err)
	}
	// An engine keeps its connection, and may ask once more on it.
	for asked := int64(-1); asked != d.asked.Load(); {
		asked = d.asked.Load()
		d.busy.Wait()
		time.Sleep(parting)
	}
}
