package convergence

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume/transfer"
)

// An application without a volume moves without a hand-off: it runs on until it does elsewhere. All that it
// may need from here is its image.

// carried are the images that other nodes have said to have.
type carried struct {
	mu sync.Mutex
	of map[cluster.AppName]carriage
}

type carriage struct {
	to cluster.NodeID
	at time.Time
}

// carriedFor is how long that counts. Who tidies up there may take an image away again.
const carriedFor = time.Minute

func (c *carried) note(app cluster.AppName, to cluster.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[cluster.AppName]carriage{}
	}
	c.of[app] = carriage{to, time.Now()}
}

// lately returns what still counts, and forgets the rest.
func (c *carried) lately() map[cluster.AppName]cluster.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.of, func(_ cluster.AppName, had carriage) bool { return time.Since(had.at) > carriedFor })
	lately := make(map[cluster.AppName]cluster.NodeID, len(c.of))
	for app, had := range c.of {
		lately[app] = had.to
	}
	return lately
}

// carryImage sees that another node has the image of an application.
func (a *Agent) carryImage(ctx context.Context, s plan.Step) error {
	assignment, _ := a.heard()
	to, ok := assignment.Peer(s.To)
	if !ok {
		return fmt.Errorf("carry an image: node %s: %w", s.To, cluster.ErrNotFound)
	}
	session, err := a.Transport.Dial(ctx, to)
	if err != nil {
		return fmt.Errorf("reach %s: %w", to.Name, err)
	}
	defer session.Close()
	defer a.receiver.Ease()
	patience := a.Handoff.Patience()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	still := time.AfterFunc(patience, func() { cancel(fmt.Errorf("no progress for %s", patience)) })
	defer still.Stop()
	o := transfer.Options{BytesPerSecond: a.Handoff.BytesPerSecond, Progress: func(int64) { still.Reset(patience) }}
	if _, err := handoff.CarryImage(ctx, session, to, a.Runtime, s.Spec.Application.Image, o, a.Log); err != nil {
		return err
	}
	a.carried.note(s.Application, s.To)
	return nil
}

// checkInstance sees that an application can be made here, while another one still runs in its place.
func (a *Agent) checkInstance(ctx context.Context, s plan.Step) error {
	if err := a.Runtime.Check(ctx, s.Spec); err != nil {
		return err
	}
	if images, ok := a.Runtime.(runtime.Images); ok {
		return images.EnsureImage(ctx, s.Spec.Application.Image)
	}
	return nil
}
