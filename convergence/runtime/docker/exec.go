package docker

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/drover/drover/cluster"
)

// Exec implements runtime.Runtime.
func (r *Runtime) Exec(ctx context.Context, name cluster.AppName, command []string) error {
	c, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	return r.exec(ctx, c.ID, command)
}

// execPoll is how often the end of a command in a container is looked for.
const execPoll = 20 * time.Millisecond

// exec runs a command in a container. Its error has what the command wrote.
func (r *Runtime) exec(ctx context.Context, id string, command []string) error {
	made, err := r.engine.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return r.kind(err)
	}
	attached, err := r.engine.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return r.kind(err)
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	var said bytes.Buffer
	_, _ = stdcopy.StdCopy(&tail{b: &said}, &tail{b: &said}, attached.Reader) // that it ended is found out below
	for {
		state, err := r.engine.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
		switch {
		case err != nil:
			return r.kind(err)
		case !state.Running && state.ExitCode != 0:
			return fmt.Errorf("%s exited with status %d: %s", command[0], state.ExitCode, strings.TrimSpace(said.String()))
		case !state.Running:
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(execPoll):
		}
	}
}

// tail keeps the beginning of what is written, enough for an error message.
type tail struct{ b *bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	if room := 1000 - t.b.Len(); room > 0 {
		t.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
