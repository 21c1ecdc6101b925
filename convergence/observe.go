package convergence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
)

// observe looks at everything that a plan depends on.
func (a *Agent) observe(ctx context.Context) (plan.Observed, error) {
	hidden := ""
	instances, err := a.Runtime.Instances(ctx)
	if err != nil {
		err = fmt.Errorf("list the applications: %w", err)
		if !errors.Is(err, cluster.ErrUnavailable) {
			return plan.Observed{}, err
		}
		hidden = err.Error()
	}
	copies, trash, unknown := a.observeVolumes(ctx)
	tight := a.tight()
	a.mu.Lock()
	defer a.mu.Unlock()
	return plan.Observed{
		Instances:        instances,
		InstancesUnknown: hidden,
		Copies:           copies,
		Trash:            trash,
		VolumesUnknown:   unknown,
		Tight:            tight,
		Restarts:         a.decideRestarts(instances),
		Undecided:        a.journal.undecided(),
		Broken:           a.brokenAttempts(),
		GaveUp:           maps.Clone(a.gaveUp),
		Answered:         maps.Clone(a.answered),
		Address:          a.Node.Address,
		Private:          a.Private,
		Path:             a.Backend.Path,
		Grace:            a.grace(),
	}, nil
}

// observeVolumes lists the copies, and the trash if a copy is missing that may be there. Where that
// cannot be seen, a pool that is gone say, unknown says why, and neither list means anything.
func (a *Agent) observeVolumes(ctx context.Context) (copies, trash []volume.Copy, unknown string) {
	copies, err := a.Backend.Copies(ctx)
	if err == nil && a.misses(copies) {
		trash, err = a.Backend.Trash(ctx)
	}
	if err == nil {
		return copies, trash, ""
	}
	unknown = err.Error()
	if hint := cluster.Hint(err); hint != "" {
		unknown += " (" + hint + ")"
	}
	return nil, nil, unknown
}

// tight reports whether so little space is left that bases should be kept without their content, where
// the backend can do that.
func (a *Agent) tight() bool {
	p := a.Backend.Properties()
	return p.Bases && p.Tight()
}

// misses reports whether this node owns a volume of which there is no copy.
func (a *Agent) misses(copies []volume.Copy) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.slice.Volumes, func(owned cluster.OwnedVolume) bool {
		return !slices.ContainsFunc(copies, func(c volume.Copy) bool { return c.Volume == owned.Volume.ID })
	})
}

// state is what this node reports, and a fingerprint that is equal for states that say the same
// to the same life of the control service.
func (a *Agent) state(ctx context.Context) (cluster.NodeState, string, error) {
	seen, err := a.observe(ctx)
	if err != nil {
		return cluster.NodeState{}, "", err
	}
	if seen.InstancesUnknown != "" { // a report would say that there are none
		return cluster.NodeState{}, "", errors.New(seen.InstancesUnknown)
	}
	users := make([][]string, len(seen.Copies)) // of each copy; the book has a lock of its own
	for i, c := range seen.Copies {
		users[i] = a.uses.Users(c.Volume)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := cluster.NodeState{Node: a.Node.ID, Era: a.Node.Era, Seen: a.acted, Conflicts: a.conflicts,
		VolumesUnknown: seen.VolumesUnknown}
	for _, i := range seen.Instances {
		s.Applications = append(s.Applications, a.applicationState(i))
	}
	for i, c := range seen.Copies {
		v := volumeState(c)
		v.Users = users[i]
		s.Volumes = append(s.Volumes, v)
	}
	s.Steps = a.stepStates()
	if a.Members != nil {
		s.Peers = a.Members.View()
	}
	b, err := json.Marshal(s)
	if err != nil {
		return cluster.NodeState{}, "", err
	}
	// Free space changes all the time: it is sent along, but is no reason to send.
	s.FreeBytes = a.Backend.Properties().FreeBytes
	return s, fmt.Sprintf("%d %s", a.registrations, b), nil
}

func (a *Agent) applicationState(i runtime.Instance) cluster.ApplicationState {
	s := cluster.ApplicationState{Name: i.Name, Running: i.Running, Healthy: i.Running && i.Healthy,
		Epoch: i.Epoch, Volume: i.Volume, Fingerprint: i.Fingerprint, Endpoints: i.Endpoints, Started: i.Started, Reason: i.Reason}
	if h := a.restarts[i.Name]; h != nil {
		s.Restarts = h.count
	}
	switch {
	case i.Running && !i.Healthy:
		s.Reason = "running, not healthy yet"
	case i.Running:
		s.Reason = ""
	case i.Started.IsZero():
		s.Reason = "ready to start"
	}
	return s
}

func volumeState(c volume.Copy) cluster.VolumeState {
	return cluster.VolumeState{Volume: c.Volume, Role: c.Role, Epoch: c.Epoch, Open: c.Open, Path: c.Path,
		UsedBytes: c.UsedBytes, LimitSize: c.LimitBytes, Snapshots: c.Snapshots, Rollback: c.Rollback, Warning: c.Warning}
}

// stepStates says what is being done and what failed. The caller holds mu.
func (a *Agent) stepStates() []cluster.StepState {
	var states []cluster.StepState
	for _, key := range slices.Sorted(maps.Keys(a.lanes)) {
		run := a.lanes[key]
		step := run.steps[run.current]
		states = append(states, cluster.StepState{Kind: string(step.Kind), Subject: step.Subject(), Reason: step.Reason})
	}
	for _, key := range slices.Sorted(maps.Keys(a.failed)) {
		f := a.failed[key]
		states = append(states, cluster.StepState{Kind: string(f.step.Kind), Subject: f.step.Subject(),
			Reason: f.step.Reason, Error: f.err.Error(), Retry: f.retry})
	}
	return states
}
