package api

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/pki"
	"github.com/drover/drover/internal/sleep"
)

func (a *api) revocations(*gin.Context, pki.Identity) (reply, error) {
	return ok(list(a.service.Revocations())), nil
}

func (a *api) revoke(c *gin.Context, who pki.Identity) (reply, error) {
	return noContent, a.service.RevokeUser(c.Request.Context(), c.Param("user"), who.Name)
}

// admit returns cluster.ErrForbidden for a user who was shut out, and cluster.ErrRemoved for a node that was
// removed, and its plugin.
func (a *api) admit(who pki.Identity) error {
	if id := who.NodeID(); id != "" {
		return a.service.Admitted(id)
	}
	if who.Role == pki.RoleUser && a.service.Revoked(who.Name) {
		return fmt.Errorf("%w: user %s was removed", cluster.ErrForbidden, who.Name)
	}
	return nil
}

// lookAgain is how often it is looked whether a user who is sent something without end was shut out.
const lookAgain = 500 * time.Millisecond

// A revocable is an output without end, which ends when the user whom it is for is shut out.
type revocable struct {
	io.ReadCloser
	refused atomic.Pointer[error]
	stop    context.CancelFunc
}

// revocable returns the output for that user. Closing it ends the watch over it.
func (a *api) revocable(output io.ReadCloser, who pki.Identity) io.ReadCloser {
	ctx, stop := context.WithCancel(context.Background())
	r := &revocable{ReadCloser: output, stop: stop}
	go func() {
		for sleep.For(ctx, lookAgain) == nil {
			if err := a.admit(who); err != nil {
				r.refused.Store(&err)
				output.Close()
				return
			}
		}
	}()
	return r
}

// Read implements io.Reader.
func (r *revocable) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if refused := r.refused.Load(); err != nil && refused != nil {
		err = *refused
	}
	return n, err
}

// Close implements io.Closer.
func (r *revocable) Close() error {
	r.stop()
	return r.ReadCloser.Close()
}
