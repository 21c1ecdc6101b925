package client

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/drover/drover/control/wire"
)

// Backup returns all that the service must not lose, in the form of package control/store/backup, which
// proves it to be whole.
func (c *Client) Backup(ctx context.Context) ([]byte, error) {
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The answer must begin in time. How long it goes on is up to its size.
	patient := time.AfterFunc(patience, func() { cancel(context.DeadlineExceeded) })
	response, err := c.stream(reading, ctx, request{method: http.MethodGet, path: wire.PathBackup}, nil)
	patient.Stop()
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return data, nil
}
