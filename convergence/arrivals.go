package convergence

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Arrivals is the backend as the transfer server is given it: what is set aside for a stream is
// reported, not only kept.
func (a *Agent) Arrivals() volume.Backend { return arrivals{a.Backend, a} }

type arrivals struct {
	volume.Backend
	agent *Agent
}

// Receive implements volume.Backend.
func (r arrivals) Receive(ctx context.Context, d volume.Delta, stream io.Reader) error {
	err := r.Backend.Receive(ctx, d, stream)
	var diverged *volume.Diverged
	if errors.As(err, &diverged) {
		r.agent.record(ctx, cluster.Event{Kind: "diverged", Volume: d.Volume,
			Message: fmt.Sprintf("the replica on %s has writes of its own: %v", r.agent.Node.Name, diverged)})
	}
	return err
}
