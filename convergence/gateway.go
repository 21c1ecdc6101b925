package convergence

import (
	"context"
	"log/slog"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/sleep"
)

// A Gateway is a node without volumes and applications: all it does is route. It takes part in
// holds like every other node.
type Gateway struct {
	Node    cluster.Node
	Control GatewayControl
	Routes  Router
	Log     *slog.Logger
}

// GatewayControl is what a gateway needs of the control service.
type GatewayControl interface {
	Register(ctx context.Context, n cluster.Node) error
	Assignment(ctx context.Context, node cluster.NodeID, since cluster.Revision, wait time.Duration) (cluster.Assignment, bool, error)
	Report(ctx context.Context, s cluster.NodeState) error
}

// Run keeps the routes current until ctx ends. While the control service is away the last ones
// stay in force.
func (g *Gateway) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		err := g.follow(ctx)
		failures++
		g.Log.Warn("the control service is away; the routes stay as they are", "error", err)
		_ = sleep.For(ctx, sleep.Reconnect(string(g.Node.ID), failures))
	}
	return nil
}

// follow registers and obeys until the connection fails.
func (g *Gateway) follow(ctx context.Context) error {
	if err := g.Control.Register(ctx, g.Node); err != nil {
		return err
	}
	var since cluster.Revision
	for {
		assignment, changed, err := g.Control.Assignment(ctx, g.Node.ID, since, pollWait)
		if err != nil {
			return err
		}
		if !changed {
			continue
		}
		if err := g.Routes.Apply(assignment.Routes); err != nil {
			g.Log.Error("not every route is in force", "error", err)
		}
		since = assignment.Revision
		if err := g.Control.Report(ctx, cluster.NodeState{Node: g.Node.ID, Era: g.Node.Era, Seen: since}); err != nil {
			return err
		}
	}
}
