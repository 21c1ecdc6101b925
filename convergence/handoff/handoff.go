// Package handoff moves one volume, with the application that uses it, from this node to
// another. The owner drives it, because it holds the data.
//
//	h := &handoff.Handoff{Move: move, Target: node, Backend: b, Runtime: r, Control: c, ...}
//	err := h.Run(ctx)
//
// One attempt, and who it waits for:
//
//	image     ship the application's image, if it is to be had nowhere else  target
//	precopy   snapshot, ship; again while that pays                     target
//	hold      the proxies of all nodes keep new connections waiting     control
//	stop      whatever runs on the volume ends, in its own time
//	final     close the volume, last snapshot, ship the last round      target
//	commit    owner A -> B, epoch + 1: one conditional write            control
//	demote    the copy that stays becomes a replica
//
// Before the commit an error leaves the volume closed at worst, and the node its owner:
// convergence opens it and starts the application again, as it would after any crash. From the
// moment that the commit is asked for, nobody guesses: see commit.go.
//
// The package does not choose what moves where, and does not start anything on the target: that
// is the target's own convergence, once it is the owner.
package handoff

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/internal/fault"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// Control is what a hand-off needs of the control service. Package client implements it.
type Control interface {
	Progress(ctx context.Context, id cluster.MoveID, r wire.ProgressReport) error
	Hold(ctx context.Context, id cluster.MoveID, r wire.AttemptRequest) (wire.HoldResult, error)
	Commit(ctx context.Context, id cluster.MoveID, r wire.CommitRequest) (cluster.Ownership, error)
	Failed(ctx context.Context, id cluster.MoveID, r wire.FailureReport) error
}

// Journal remembers, across a crash of the agent, that the commit of a move was asked for.
type Journal interface {
	// Asking is durable when it returns.
	Asking(move cluster.Move, base string) error
	// Settled forgets the move.
	Settled(id cluster.VolumeID) error
}

// A Handoff is one attempt of a move, as its source. The fields up to Log must be set.
type Handoff struct {
	Move      cluster.Move
	Target    cluster.Node
	Backend   volume.Backend
	Runtime   runtime.Runtime
	Transport transfer.Transport
	Control   Control
	Journal   Journal
	Log       *slog.Logger

	// Application is what shall run on the volume when the attempt begins, and is made ready for on the
	// target; the zero value if nothing shall. Wanted, which may be nil, returns what shall by now.
	// What does run, and so is stopped, the Runtime says: see users.go.
	Application cluster.Application
	Wanted      func() cluster.Application
	// Alone, which may be nil, has nobody else start, stop or open anything on the volume until what it
	// returns is called.
	Alone func(ctx context.Context) (release func(), err error)

	Options

	release func() // undoes Alone
	session transfer.Session
	stats   *stats
	base    cluster.Snapshot // the newest snapshot that both sides know
	shared  bool             // base is set
	bare    bool             // base has no content here any more: it is not a snapshot to drop
	// byFiles: the rounds of this attempt are shipped file by file, though both backends are of one kind.
	byFiles bool
	// past are the last rounds of past moves that the target is to have before all else.
	past []cluster.SnapshotName
	// partial is what the target has of a round that an earlier attempt could not finish.
	partial *volume.Partial
}

// Options are how to hand off. Zero values mean the defaults that are named.
type Options struct {
	// PauseBudget is the time that the last round may be predicted to take: 2 s.
	PauseBudget time.Duration
	// MaxRounds bounds the pre-copy rounds: 10.
	MaxRounds int
	// OverBudget says what happens when the rounds do not get small enough: CutOver.
	OverBudget Policy
	// BytesPerSecond limits the rate of pre-copy rounds; zero means no limit. The last round
	// is never limited, since clients wait for it.
	BytesPerSecond int64
	// HoldPatience is how long the proxies hold, and so how long the attempt may take from the
	// hold to the request to commit: 30 s.
	HoldPatience time.Duration
	// ProgressPatience is how long anything before the hold may go on without getting ahead, a command, a
	// snapshot or a transfer: 15 min.
	ProgressPatience time.Duration
	// WaitPatience is how long Wait waits for rounds to get shorter: 24 h.
	WaitPatience time.Duration
}

func (o Options) pauseBudget() time.Duration  { return orDefault(o.PauseBudget, 2*time.Second) }
func (o Options) maxRounds() int              { return orDefault(o.MaxRounds, 10) }
func (o Options) holdPatience() time.Duration { return orDefault(o.HoldPatience, 30*time.Second) }

// Patience is ProgressPatience, or its default.
func (o Options) Patience() time.Duration     { return orDefault(o.ProgressPatience, 15*time.Minute) }
func (o Options) waitPatience() time.Duration { return orDefault(o.WaitPatience, 24*time.Hour) }

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// An Error is why an attempt ended without the volume having moved.
type Error struct {
	// Final: another attempt would end in the same way.
	Final bool
	// Stats are what the attempt measured until then.
	Stats cluster.Stats
	// Acknowledged: the control service knows already.
	Acknowledged bool
	cause        error
}

// Refused is the error of an attempt that never began, because of something that it would meet again.
func Refused(err error) *Error { return &Error{Final: true, cause: err} }

func (e *Error) Error() string { return e.cause.Error() }
func (e *Error) Unwrap() error { return e.cause }

// Run drives the attempt to its end. It returns nil when the target is the owner, and an *Error
// when this node still is. Any other error means that the answer of the control service is not
// known: the journal says so, and Resolve must be called before anything touches the volume.
func (h *Handoff) Run(ctx context.Context) error {
	h.stats = newStats(h.Move.Stats)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reported := h.reportProgress(ctx)
	defer func() { cancel(); <-reported }()

	h.release = func() {}
	defer func() { h.release() }()
	final, err := h.bounded(ctx, h.prepareCommit)
	if err != nil {
		return h.rolledBack(err)
	}
	return h.commit(ctx, final)
}

// prepareCommit does all that can still be undone, and returns the snapshot that the target
// holds and that nothing was written after.
func (h *Handoff) prepareCommit(ctx context.Context) (cluster.Snapshot, error) {
	session, err := h.Transport.Dial(ctx, h.Target)
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("reach %s: %w", h.Target.Name, err)
	}
	defer session.Close()
	h.session = session
	if err := h.carryImage(ctx); err != nil {
		return cluster.Snapshot{}, err
	}
	if err := h.precopy(ctx); err != nil {
		return cluster.Snapshot{}, err
	}
	if err := h.beforeStop(ctx); err != nil {
		return cluster.Snapshot{}, err
	}
	if err := h.targetOpens(ctx); err != nil {
		return cluster.Snapshot{}, err
	}
	h.flush(ctx)
	if err := h.standAlone(ctx); err != nil {
		return cluster.Snapshot{}, err
	}
	if err := h.stillWanted(); err != nil {
		return cluster.Snapshot{}, err
	}
	held := fmt.Errorf("clients have been held for %s", h.holdPatience())
	ctx, cancel := context.WithTimeoutCause(ctx, h.holdPatience(), held)
	defer cancel()
	final, err := h.cutOver(ctx)
	if err != nil && errors.Is(context.Cause(ctx), held) && h.heldInVain() {
		err = &Error{Final: true, cause: fmt.Errorf("as in the attempt before: %w", err)}
	}
	return final, err
}

// heldInVain reports whether the attempt before this one held clients for as long as they can be held.
func (h *Handoff) heldInVain() bool {
	before := h.Move.Stats
	return before.Stop+before.Final.Took > h.holdPatience()*9/10
}

// targetOpens asks, while the application still runs here, whether anything keeps the target from
// opening what it has received: after the commit it would be down until that is mended.
func (h *Handoff) targetOpens(ctx context.Context) error {
	theirs, err := h.session.Copy(ctx, h.Move.Volume)
	if err != nil {
		return fmt.Errorf("ask %s for its copy: %w", h.Target.Name, err)
	}
	if theirs.Obstacle != "" {
		return fmt.Errorf("%w: %s could not open the volume: %s", cluster.ErrUnavailable, h.Target.Name, theirs.Obstacle)
	}
	return nil
}

// cutOver holds the clients, ends the writers and ships the last round.
func (h *Handoff) cutOver(ctx context.Context) (cluster.Snapshot, error) {
	held, err := h.Control.Hold(ctx, h.Move.ID, wire.AttemptRequest{Attempt: h.Move.Attempt})
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("hold the clients: %w", err)
	}
	if len(held.Missing) > 0 {
		// Their proxies find the endpoint gone and wait by themselves.
		h.Log.Warn("not every proxy confirmed its hold in time", "holding", held.Holding, "missing", held.Missing)
	}
	h.stats.phase(cluster.PhaseHold)
	fault.Point("handoff.hold")

	began := time.Now()
	err = h.stopUsers(ctx)
	h.stats.stopped(time.Since(began))
	if err != nil {
		return cluster.Snapshot{}, err
	}
	fault.Point("handoff.stop")

	if err := h.Backend.Close(ctx, h.Move.Volume); err != nil {
		return cluster.Snapshot{}, fmt.Errorf("close the volume: %w", err)
	}
	h.stats.phase(cluster.PhaseFinal)
	final, err := h.ship(ctx, h.finalName(), 0)
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("ship the last round: %w", err)
	}
	fault.Point("handoff.final")
	h.stats.proven(h.proof(ctx, final))
	return final, nil
}

// proof says what shows that the copy of the target equals the one here, for people.
func (h *Handoff) proof(ctx context.Context, final cluster.Snapshot) string {
	if native := h.Backend.Properties().Proof; native != "" && !h.delta(final.Name).Files {
		return native
	}
	mine, err := volume.Find(ctx, h.Backend, h.Move.Volume)
	at := slices.IndexFunc(mine.Snapshots, func(s cluster.Snapshot) bool { return s.Name == final.Name })
	if err != nil || at < 0 || mine.Snapshots[at].Digest == "" {
		return ""
	}
	return fmt.Sprintf("sha256 %s over content, metadata and attributes, both sides", mine.Snapshots[at].Digest)
}

// flush writes out what the kernel still holds in memory, so that the last snapshot, which must
// do that while clients wait, finds little left.
func (h *Handoff) flush(ctx context.Context) {
	flusher, ok := volume.As[volume.Flusher](h.Backend)
	if !ok {
		return
	}
	if err := flusher.Flush(ctx, h.Move.Volume); err != nil {
		h.Log.Warn("could not write out the volume; the pause may be longer", "error", err)
	}
}

// rolledBack tells an attempt's failure apart from one that another attempt would repeat.
func (h *Handoff) rolledBack(err error) error {
	var known *Error
	final := cluster.Lasting(err)
	if errors.As(err, &known) {
		final = known.Final
	}
	return &Error{Final: final, Stats: h.stats.snapshot(), cause: err}
}
