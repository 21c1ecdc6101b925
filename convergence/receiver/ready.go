package receiver

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/internal/fault"
	"github.com/drover/drover/volume"
)

// GetReady checks that a volume and its application can arrive here, does all that can be done
// before they do, and tells the control service. Whatever is wrong is found here, while nothing
// has changed.
func (r *Receiver) GetReady(ctx context.Context, s plan.Step) error {
	fault.Point("arrive.ready")
	report := wire.ReadyReport{Attempt: s.Move.Attempt}
	switch err := r.admit(ctx, s); {
	case cluster.Lasting(err), errors.Is(err, cluster.ErrInvalid):
		report.Refused = cluster.Told(err, r.VolumeNames())
	case err != nil:
		return err
	}
	if err := r.Control.Ready(ctx, s.Move.ID, report); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answered == nil {
		r.answered = map[cluster.MoveID]int{}
	}
	r.answered[s.Move.ID] = s.Move.Attempt
	return nil
}

func (r *Receiver) admit(ctx context.Context, s plan.Step) error {
	arrival, ok := r.arrival(s.Move.ID)
	if !ok {
		return fmt.Errorf("move %s: %w in this node's assignment", s.Move.ID, cluster.ErrNotFound)
	}
	if err := r.checkSpace(ctx, arrival); err != nil {
		return err
	}
	if arrival.Application == nil {
		return nil
	}
	if err := r.Runtime.Check(ctx, s.Spec); err != nil {
		return err
	}
	_, err := r.createArriving(ctx, s.Spec)
	return err
}

// headroom is the part of the volume's size that must be free besides: for what is written while
// it is shipped, and for the file system's own records.
const headroom = 20 // one twentieth

func (r *Receiver) checkSpace(ctx context.Context, arrival cluster.Arrival) error {
	whole := arrival.NeedBytes + arrival.NeedBytes/headroom
	need := whole
	held, err := volume.Find(ctx, r.Backend, arrival.Volume.ID)
	switch {
	case err == nil && held.Role == cluster.Replica:
		need = max(whole-held.UsedBytes, arrival.NeedBytes/headroom)
	case err != nil && !errors.Is(err, cluster.ErrNotFound):
		return err
	}
	space, err := r.Backend.Space(ctx)
	if err != nil || space.Free >= need {
		return err
	}
	if held.Partial != nil && space.Free+held.UsedBytes >= whole {
		// It fits, but not beside what came of an attempt that was cut, which may be of no use any more.
		if b, ok := volume.As[volume.Discarder](r.Backend); ok {
			r.Log.Info("what has arrived of a transfer that was cut gives way to a whole one", "volume", arrival.Volume.Name, "bytes", held.UsedBytes)
			return b.Discard(ctx, held.Volume)
		}
	}
	return fmt.Errorf("%w: %s has %d MiB free, volume %s of %d MiB needs %d MiB more there",
		cluster.ErrRefused, r.Node.Name, space.Free>>20, arrival.Volume.Name, mebibytes(arrival.NeedBytes), mebibytes(need))
}

// startRoom is what must be free for an application to start.
const startRoom = 4 << 20

// roomToStart refuses what has come when there is no room beside it: somebody else has filled the disk since
// GetReady looked.
func (r *Receiver) roomToStart(ctx context.Context) error {
	space, err := r.Backend.Space(ctx)
	if err != nil || space.Free >= startRoom {
		return err
	}
	return fmt.Errorf("%w: the disk of %s is full, so nothing could start there: make room on it", cluster.ErrRefused, r.Node.Name)
}

func mebibytes(bytes int64) int64 { return (bytes + 1<<20 - 1) >> 20 }
