package convergence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/volume"
)

// observe looks at everything that a plan depends on.
func (a *Agent) observe(ctx context.Context) (plan.Observed, error) {
	hidden, made := "", a.made.all() // before the look: what is made meanwhile is not missed
	instances, err := a.Runtime.Instances(ctx)
	if err != nil {
		err = fmt.Errorf("list the applications: %w", err)
		if !errors.Is(err, cluster.ErrUnavailable) {
			return plan.Observed{}, err
		}
		hidden = cluster.Message(err)
	}
	copies, trash, unknown := a.observeVolumes(ctx)
	tight := a.tight(ctx)
	assignment, _ := a.heard()
	broken, gaveUp := a.attempts.seen()
	return plan.Observed{
		Instances:        instances,
		InstancesUnknown: hidden,
		Copies:           copies,
		Trash:            trash,
		Made:             made,
		VolumesUnknown:   unknown,
		Tight:            tight,
		Restarts:         a.restarts.decide(assignment.Applications, instances),
		Undecided:        a.journal.Undecided(),
		Broken:           broken,
		GaveUp:           gaveUp,
		Answered:         a.receiver.Answered(),
		Carried:          a.carried.lately(),
		Address:          a.Node.Address,
		Private:          a.Private,
		Path:             a.Backend.Path,
		Grace:            a.grace(),
		Aged:             a.aged(),
	}, nil
}

// observeVolumes lists the copies, and the trash if a copy is missing that may be there. Where that
// cannot be seen, a pool that is gone say, unknown says why, and neither list means anything.
func (a *Agent) observeVolumes(ctx context.Context) (copies, trash []volume.Copy, unknown string) {
	copies, err := a.Backend.Copies(ctx)
	if err == nil && a.misses(copies) {
		trash, err = a.trash(ctx)
	}
	if err == nil {
		return copies, trash, ""
	}
	return nil, nil, cluster.Told(err, nil)
}

// tight reports whether so little space is left that bases should be kept without their content, where
// the backend can do that.
func (a *Agent) tight(ctx context.Context) bool {
	space, err := a.Backend.Space(ctx)
	return err == nil && a.Backend.Properties().Bases && space.Tight()
}

// misses reports whether this node owns a volume of which there is no copy.
func (a *Agent) misses(copies []volume.Copy) bool {
	here := make(map[cluster.VolumeID]bool, len(copies))
	for _, c := range copies {
		here[c.Volume] = true
	}
	assignment, _ := a.heard()
	return slices.ContainsFunc(assignment.Volumes, func(owned cluster.OwnedVolume) bool { return !here[owned.Volume.ID] })
}
