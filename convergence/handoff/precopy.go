package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/fault"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// precopy ships the volume round by round while the application runs, until what is left should
// fit the pause.
func (h *Handoff) precopy(ctx context.Context) error {
	if err := h.findBase(ctx); err != nil {
		return err
	}
	p := predictor{budget: h.pauseBudget(), maxRounds: h.maxRounds(), policy: h.OverBudget}
	for n := 1; ; n++ {
		incremental := h.shared
		h.figures.begin()
		fault.Point("handoff.precopy")
		began := time.Now()
		if _, err := h.ship(ctx, h.roundName(fmt.Sprint(n)), h.BytesPerSecond); err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		p.add(round{took: time.Since(began), incremental: incremental})
		switch next, why := p.next(); next {
		case enough:
			h.Log.Info("pre-copy is done", "rounds", n, "reason", why)
			return nil
		case tooMuch:
			return &Error{Final: true, cause: fmt.Errorf("the pause would be too long: %s", why)}
		case later:
			h.Log.Info("pre-copy waits", "rounds", n, "reason", why)
			if err := sleep(ctx, p.budget); err != nil {
				return err
			}
		case another:
		}
	}
}

// findBase looks up the newest snapshot that both sides hold, and drops the remains of earlier
// attempts on this side.
func (h *Handoff) findBase(ctx context.Context) error {
	mine, err := volume.Find(ctx, h.Backend, h.Move.Volume)
	if err != nil {
		return err
	}
	h.figures.expect(mine.UsedBytes)
	theirs, err := h.session.Copy(ctx, h.Move.Volume)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return fmt.Errorf("ask %s for its copy: %w", h.Target.Name, err)
	}
	h.base, h.shared = volume.Common(mine.Snapshots, theirs.Snapshots)
	for _, s := range mine.Snapshots {
		if s.Kept || (h.shared && s.GUID == h.base.GUID) || isPartial(theirs, s.Name) {
			continue
		}
		if err := h.Backend.Drop(ctx, h.Move.Volume, s.Name); err != nil {
			return fmt.Errorf("drop snapshot %s of an earlier attempt: %w", s.Name, err)
		}
	}
	return nil
}

// isPartial reports whether a copy has received that snapshot in part: it must outlive the
// attempt that was cut, so that the next one can go on with it.
func isPartial(theirs volume.Copy, name cluster.SnapshotName) bool {
	return theirs.Partial != nil && theirs.Partial.To == name
}

// ship makes a snapshot, ships what it adds to the shared base, and makes it the new base.
func (h *Handoff) ship(ctx context.Context, name cluster.SnapshotName, rate int64) (cluster.Snapshot, error) {
	began := time.Now()
	snapshot, err := h.Backend.Snapshot(ctx, h.Move.Volume, name, false)
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("make snapshot %s: %w", name, err)
	}
	d := volume.Delta{Volume: h.Move.Volume, To: name}
	if h.shared {
		d.From = h.base.Name
	}
	bytes, err := h.session.Send(ctx, d, h.Backend, transfer.Options{BytesPerSecond: rate, Progress: h.figures.shipped})
	h.figures.end(bytes, time.Since(began))
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("send %s to %s: %w", d, h.Target.Name, err)
	}
	if h.shared && !h.base.Kept {
		// The target holds the new one, so nothing needs the old one any more.
		if err := h.Backend.Drop(ctx, h.Move.Volume, h.base.Name); err != nil {
			h.Log.Warn("could not drop an old snapshot; it is dropped with the next move", "snapshot", h.base.Name, "error", err)
		}
	}
	h.base, h.shared = snapshot, true
	return snapshot, nil
}

// roundName names a snapshot after the move, the attempt and the round, so that no two attempts
// ever mean different content by the same name.
func (h *Handoff) roundName(round string) cluster.SnapshotName {
	return cluster.SnapshotName(fmt.Sprintf("move-%.8s-%d-%s", h.Move.ID, h.Move.Attempt, round))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
