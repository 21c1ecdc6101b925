package sim

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/sleep"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// A carrier carries volumes from one life of an agent to other hosts. It implements transfer.Transport.
type carrier struct{ *life }

// Dial implements transfer.Transport.
func (w carrier) Dial(ctx context.Context, to cluster.Node) (transfer.Session, error) {
	s := session{from: w.life, to: w.host.world.at(to.Address)}
	if s.to == nil {
		return nil, fmt.Errorf("%w: there is nobody at %s", cluster.ErrUnavailable, to.Address)
	}
	_, err := s.reach(ctx, "dial")
	return s, err
}

type session struct {
	from *life
	to   *host
}

// reach crosses the network and returns the agent that answers there.
func (s session) reach(ctx context.Context, what string) (*life, error) {
	if err := s.from.host.world.net.send(ctx, s.from.host.name, s.to.name, what); err != nil {
		return nil, err
	}
	l := s.to.alive()
	if l == nil {
		return nil, fmt.Errorf("%w: nobody answers on %s", cluster.ErrUnavailable, s.to.id)
	}
	return l, nil
}

// Copy implements transfer.Session.
func (s session) Copy(ctx context.Context, id cluster.VolumeID) (volume.Copy, error) {
	l, err := s.reach(ctx, "copy "+short(id))
	if err != nil {
		return volume.Copy{}, err
	}
	return volume.Find(ctx, l.agent.Receiver().Inbound(), id)
}

// Send implements transfer.Session.
func (s session) Send(ctx context.Context, d volume.Delta, source transfer.Source, o transfer.Options) (int64, error) {
	l, err := s.reach(ctx, "send "+short(d.Volume))
	if err != nil {
		return 0, err
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(fmt.Errorf("%w: the connection broke", cluster.ErrUnavailable)) })()
	permitted, err := l.agent.Receiver().Permit(s.from.host.id, d)
	if err != nil {
		return 0, err
	}
	dice := s.from.host.world.dice("ship from " + s.from.host.name + " " + short(d.Volume))
	joined := transfermem.Transport{Nodes: map[cluster.NodeID]volume.Backend{s.to.id: l.agent.Receiver().Inbound()}}
	if !s.from.host.world.without("cuts") && dice.one(20) {
		after := int64(dice.below(400) + 1)
		joined.Cut = func(volume.Delta) int64 { return after }
	}
	if sleep.For(inner, dice.between(time.Millisecond, 3*time.Second)) != nil {
		return 0, context.Cause(inner)
	}
	session, err := joined.Dial(inner, cluster.Node{ID: s.to.id})
	if err != nil {
		return 0, err
	}
	n, err := session.Send(inner, permitted, source, o)
	if err == nil {
		err = s.from.host.world.net.send(ctx, s.to.name, s.from.host.name, "sent")
	}
	return n, err
}

// HasImage implements transfer.Session: there are no images.
func (session) HasImage(context.Context, string) (bool, error) { return true, nil }

// SendImage implements transfer.Session.
func (session) SendImage(context.Context, string, func(context.Context, io.Writer) error, transfer.Options) (int64, error) {
	return 0, nil
}

// Close implements transfer.Session.
func (session) Close() error { return nil }
