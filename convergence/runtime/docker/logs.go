package docker

import (
	"context"
	"io"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/drover/drover/cluster"
)

// Logs implements runtime.Runtime.
func (r *Runtime) Logs(ctx context.Context, name cluster.AppName, follow bool) (io.ReadCloser, error) {
	c, err := r.find(ctx, name)
	if err != nil {
		return nil, err
	}
	logs, err := r.engine.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: follow})
	if err != nil {
		return nil, r.kind(err)
	}
	if c.Config.Tty {
		return logs, nil
	}
	out, in := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(in, in, logs)
		logs.Close()
		in.CloseWithError(err)
	}()
	return out, nil
}
