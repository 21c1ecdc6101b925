package convergence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/internal/sleep"
)

// reportChanges sends the node's state whenever it has changed.
func (a *Agent) reportChanges(ctx context.Context) error {
	var sent string
	var sequence uint64
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.report:
		}
		if !a.standing.speaks() {
			continue // who has not been taken for the node does not speak as it
		}
		state, fingerprint, err := a.state(ctx)
		if err != nil {
			a.Log.Error("cannot observe this node", "error", err)
			continue
		}
		if fingerprint == sent {
			a.reports(sequence, state.Told)
			continue
		}
		sequence++
		state.Sequence = sequence
		if err := a.Control.Report(ctx, state); err != nil {
			if !errors.Is(err, context.Canceled) {
				a.Log.Debug("the state was not reported", "error", err)
			}
			sent = ""
			a.reports(0, 0) // what was reported before does not hold any more, and no heartbeat says that it does
			if sleep.For(ctx, sleep.Reconnect(string(a.Node.ID), 3)) == nil {
				a.report.send()
			}
			continue
		}
		sent = fingerprint
		a.reports(sequence, state.Told)
	}
}

// reports notes that the state with that number was right when the node had been told so much.
func (a *Agent) reports(sequence uint64, told cluster.Revision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told.reported = wire.Heartbeat{Sequence: sequence, Told: told}
}

// heartbeat is how often the node says that it is there, if it has nothing else to say. One may be lost
// before it counts as out of touch: see wire.LivenessWindow.
const heartbeat = 5 * time.Second

// beat says, again and again, that the last report still holds. It does not look whether that is so, which
// may take a while on a busy host: a report says it when it does not.
func (a *Agent) beat(ctx context.Context) error {
	_ = sleep.For(ctx, sleep.Reconnect(string(a.Node.ID), 10)) // agents that started at once do not beat at once
	for sleep.For(ctx, heartbeat) == nil {
		a.mu.Lock()
		last := a.told.reported
		a.mu.Unlock()
		if last.Sequence == 0 {
			continue // the first report is on its way, and is tried until it arrives
		}
		err := a.Control.Heartbeat(ctx, a.Node.ID, last)
		if errors.Is(err, cluster.ErrStale) {
			a.reportAnew()
		}
	}
	return ctx.Err()
}

// reportAnew has all be reported, though it may have been before.
func (a *Agent) reportAnew() {
	a.mu.Lock()
	a.told.anew++
	a.mu.Unlock()
	a.report.send()
}

// state is what this node reports, and a fingerprint that is equal for states that say the same
// to the same life of the control service.
func (a *Agent) state(ctx context.Context) (cluster.NodeState, string, error) {
	// Before the look: what is reported is never older than what the node says that it acted on, and knew.
	a.mu.Lock()
	acted, knew, owned := a.told.acted, a.told.assignment.Revision, a.told.assignment.Volumes
	a.mu.Unlock()
	seen, err := a.observe(ctx)
	if err != nil {
		return cluster.NodeState{}, "", err
	}
	if seen.InstancesUnknown != "" { // a report would say that there are none
		return cluster.NodeState{}, "", errors.New(seen.InstancesUnknown)
	}
	var trash trashed
	if seen.VolumesUnknown == "" {
		trash = a.inTrash(ctx, seen.Copies)
	}
	kept := a.setAside(ctx)
	a.mu.Lock()
	told := a.told
	a.mu.Unlock()
	names := told.assignment.VolumeNames()
	s := cluster.NodeState{Node: a.Node.ID, Era: a.Node.Era, Seen: acted, Every: heartbeat, Conflicts: told.conflicts,
		VolumesUnknown: cluster.Named(seen.VolumesUnknown, names),
		Trash:          trash.volumes, Unreadable: trash.unreadable, TrashReplicas: trash.replicas, SetAside: trash.aside, Kept: kept}
	outdated := plan.Outdated(told.assignment, seen)
	for _, i := range seen.Instances {
		s.Applications = append(s.Applications, a.explained(i, outdated[i.Name]))
	}
	if seen.VolumesUnknown == "" {
		s.Made = seen.Misses(owned)
	}
	for _, c := range seen.Copies {
		c.Warning, c.Users = cluster.Named(c.Warning, names), a.mounts.Users(c.Volume)
		c.Bases, c.Partial, c.Labels = nil, nil, nil // for other nodes, and for this one
		s.Volumes = append(s.Volumes, c)
	}
	s.Steps = a.stepStates(names)
	if a.Members != nil {
		s.Missing = a.Members.Missing()
	}
	b, err := json.Marshal(s)
	if err != nil {
		return cluster.NodeState{}, "", err
	}
	// Free space and what others are told change all the time: they are sent along, but are no reason to send.
	s.Told = knew
	space, err := a.Backend.Space(ctx)
	if err != nil {
		a.Log.Warn("cannot tell how much space is free", "error", err)
	}
	s.FreeBytes = space.Free
	return s, fmt.Sprintf("%d %s", told.anew, b), nil
}

// explained is an instance as it is reported, with what the runtime does not know of it.
func (a *Agent) explained(i cluster.Instance, outdated bool) cluster.Instance {
	past := a.restarts.last(i.Name)
	i.Restarts = past.count
	i.Settling, _ = a.restarts.settling(i, outdated, a.wall())
	switch {
	case i.Running && !i.Healthy:
		i.Reason = "running, not healthy yet"
	case i.Running:
		i.Reason = ""
	case i.Started.IsZero():
		i.Reason = "ready to start"
	case past.over != "":
		i.Reason += "; " + past.over
	}
	i.Healthy = i.Healthy && i.Running
	return i
}

// stepStates says what is being done and what failed.
func (a *Agent) stepStates(names map[cluster.VolumeID]string) []cluster.StepState {
	var states []cluster.StepState
	for _, s := range a.executor.Running() {
		states = append(states, cluster.StepState{Kind: string(s.Kind), Subject: s.Subject(), Reason: s.Reason})
	}
	for _, f := range a.executor.Failures() {
		states = append(states, cluster.StepState{Kind: string(f.Step.Kind), Subject: f.Step.Subject(),
			Reason: f.Step.Reason, Error: cluster.Told(f.Err, names), Retry: f.Retry})
	}
	return states
}
