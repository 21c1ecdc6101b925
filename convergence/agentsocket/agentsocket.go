// Package agentsocket is how the Docker volume plugin, a process of its own, asks the agent of its host: by a
// socket in the agent's data directory.
//
//	err := agentsocket.Serve(ctx, dir, agent, log)                            // the agent
//	path, err := agentsocket.Client{Dir: dir}.Use(ctx, "pgdata", mount)   // the plugin
//
// It carries two calls and their errors, with their kinds, and knows what neither means.
package agentsocket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Agent is the agent of this host, as far as containers are concerned. A convergence.Agent is one, and
// so is a Client, which asks one.
type Agent interface {
	// Use notes that a container uses a volume, and returns its path once it is open. A volume that
	// the node does not own is cluster.ErrNotFound.
	Use(ctx context.Context, volume, mount string) (path string, err error)
	// Release notes that a use has ended. Call identifies the request: one whose answer was lost may come
	// again, and ends nothing more.
	Release(mount, call string) error
}

// SocketName is the name of an agent's socket in its data directory.
const SocketName = "agent.sock"

const (
	usePath     = "/use"
	releasePath = "/release"
)

// releaseWait bounds a release, which an agent that is there has done in no time.
const releaseWait = 2 * time.Second

// A call is what both calls carry, and an answer what they bring back.
type call struct{ Volume, Mount, Call string }
type answer struct{ Path string }

// Serve answers Clients on the socket of an agent until ctx ends. The directory, which must be the
// agent's own, keeps others out.
func Serve(ctx context.Context, dir string, a Agent, log *slog.Logger) error {
	path := filepath.Join(dir, SocketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // of an agent that was killed
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listen for the Docker plugin: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	handle := func(path string, do func(ctx context.Context, c call) (answer, error)) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { respond(w, r, log, do) })
	}
	handle(usePath, func(ctx context.Context, c call) (answer, error) {
		path, err := a.Use(ctx, c.Volume, c.Mount)
		return answer{path}, err
	})
	handle(releasePath, func(_ context.Context, c call) (answer, error) { return answer{}, a.Release(c.Mount, c.Call) })
	server := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx }}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return ctx.Err()
}

func respond(w http.ResponseWriter, r *http.Request, log *slog.Logger, do func(context.Context, call) (answer, error)) {
	var c call
	var reply any
	status := http.StatusOK
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&c)
	if err == nil {
		reply, err = do(r.Context(), c)
	}
	if err != nil {
		status, reply = wire.EncodeError(err)
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(reply); err != nil {
		log.Debug("the Docker plugin did not wait for its answer", "error", err)
	}
}

// A Client asks the agent of this host, which is another process.
type Client struct {
	// Dir is the data directory of the agent.
	Dir string
}

// ErrAway: the agent of this host does not answer. It is a cluster.ErrUnavailable.
var ErrAway = fmt.Errorf("%w: the agent of this host does not answer", cluster.ErrUnavailable)

// Use implements Agent.
func (c Client) Use(ctx context.Context, volume, mount string) (string, error) {
	a, err := c.ask(ctx, usePath, call{Volume: volume, Mount: mount})
	return a.Path, err
}

// Release implements Agent.
func (c Client) Release(mount, id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), releaseWait)
	defer cancel()
	_, err := c.ask(ctx, releasePath, call{Mount: mount, Call: id})
	return err
}

func (c Client) ask(ctx context.Context, path string, what call) (answer, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(c.Dir, SocketName))
	}}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %v", ErrAway, errors.Unwrap(err)) // without the URL
	}
	defer response.Body.Close()
	var got struct {
		answer
		wire.ErrorBody
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		return answer{}, fmt.Errorf("%w: %v", ErrAway, err)
	}
	if response.StatusCode != http.StatusOK {
		return answer{}, wire.DecodeError(response.StatusCode, got.ErrorBody)
	}
	return got.answer, nil
}
