package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/fault"
)

// commit asks for the change of owner and ends the attempt by the answer.
//
// A request whose answer did not arrive may still be carried out, now or later. So a commit that
// was asked for is only given up by a second request, Failed, after which the control service
// can no longer carry out the first. Until one of the two is answered the volume stays closed.
func (h *Handoff) commit(ctx context.Context, final cluster.Snapshot) error {
	if err := h.Journal.Asking(h.Move, final.GUID); err != nil {
		return h.rolledBack(fmt.Errorf("write the journal: %w", err))
	}
	fault.Point("handoff.commit.before")
	return h.Resolve(ctx, final.GUID)
}

// Resolve asks until it knows whether the move is committed, and acts on the answer: it demotes
// the copy here, or returns an *Error. It is how an agent goes on after a restart too.
func (h *Handoff) Resolve(ctx context.Context, base string) error {
	if h.stats == nil {
		h.stats = newStats(h.Move.Stats)
	}
	ownership, err := h.ask(ctx, base)
	fault.Point("handoff.commit.after")
	switch {
	case errors.Is(err, errWithdrawn):
		if err := h.Journal.Settled(h.Move.Volume); err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
		return &Error{Stats: h.stats.snapshot(), Acknowledged: true, cause: err}
	case err != nil:
		return err
	}
	// The move has happened. That it is no longer listed as open is no reason to stop here.
	ctx = context.WithoutCancel(ctx)
	if err := h.demote(ctx, ownership.Epoch); err != nil {
		return err
	}
	return h.Journal.Settled(h.Move.Volume)
}

// errWithdrawn: the control service will never commit this attempt.
var errWithdrawn = errors.New("not committed")

// ask repeats the request to commit until it is answered. An answer that the target is not there
// is repeated too, but only for as long as clients may be held.
func (h *Handoff) ask(ctx context.Context, base string) (cluster.Ownership, error) {
	request := wire.CommitRequest{Attempt: h.Move.Attempt, Epoch: h.Move.Epoch, Base: base, Stats: h.stats.snapshot()}
	giveUp := time.Now().Add(h.holdPatience() / 2)
	policy := backoff.NewExponentialBackOff()
	// Nobody else asks for this move, so there is nobody to keep out of the way of.
	policy.InitialInterval, policy.MaxInterval, policy.RandomizationFactor = 20*time.Millisecond, time.Second, 0
	return backoff.Retry(ctx, func() (cluster.Ownership, error) {
		ownership, err := h.Control.Commit(ctx, h.Move.ID, request)
		if err != nil && !answered(err) && time.Now().After(giveUp) {
			err = h.withdraw(ctx, err)
		}
		switch {
		case err == nil:
			return ownership, nil
		case answered(err):
			return ownership, backoff.Permanent(fmt.Errorf("%w: %w", errWithdrawn, err))
		default:
			h.Log.Warn("the commit is not answered yet", "error", err)
			return ownership, err
		}
	}, backoff.WithBackOff(policy), backoff.WithMaxElapsedTime(0))
}

// answered reports whether an error says that the attempt will never be committed.
func answered(err error) bool {
	return errors.Is(err, cluster.ErrConflict) || errors.Is(err, cluster.ErrStale) || errors.Is(err, cluster.ErrNotFound)
}

// withdraw makes sure that the attempt is never committed. When it is too late for that, the
// next request to commit learns it.
func (h *Handoff) withdraw(ctx context.Context, cause error) error {
	err := h.Control.Failed(ctx, h.Move.ID, wire.FailureReport{
		Attempt: h.Move.Attempt, Reason: "commit: " + cluster.Message(cause), Stats: h.stats.snapshot()})
	if err == nil {
		return cluster.ErrConflict
	}
	// %v, not %w: neither error is an answer to the request, so the kinds of both are hidden.
	return fmt.Errorf("%v; withdraw: %v", cause, err)
}

// demote ends this node's part. A copy that has been written since its last snapshot would mean
// that the volume was not closed: the backend keeps it aside and the agent reports it.
func (h *Handoff) demote(ctx context.Context, epoch cluster.Epoch) error {
	if err := h.removeUsers(ctx); err != nil {
		h.Log.Warn("could not remove what moved away; convergence will", "error", err)
	}
	if err := h.Backend.Demote(ctx, h.Move.Volume, epoch); err != nil {
		return fmt.Errorf("demote the copy: %w", err)
	}
	return nil
}
