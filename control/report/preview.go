package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/assign"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/plan"
)

// Preview returns what the nodes would do if v were so, in which those moves have just been opened.
// Steps are those of the agents' own plan, by the states that they last reported; the steps of a move
// follow each other, the others do not wait.
func Preview(v view.View, opened []cluster.MoveID) []wire.PlannedStep {
	steps := []wire.PlannedStep{}
	for n := range v.Model.Nodes.All() {
		node := v.Seen.Nodes.At(n.ID)
		if node == nil || node.State == nil {
			continue
		}
		assignment := assign.To(v, n.ID)
		assignment.Nodes = slices.Collect(v.Model.Nodes.All())
		p := plan.Diff(assignment, observedBy(n, *node.State, v.Now), v.Now)
		for _, lane := range p.Lanes {
			for _, step := range lane.Steps {
				if step.Kind != plan.GetReady { // the first step of its move, which follows
					steps = append(steps, wire.PlannedStep{Node: n.Name, Kind: string(step.Kind), Subject: subject(v.Model, step), Reason: step.Reason})
				}
			}
		}
	}
	steps = append(steps, leftBehind(v)...)
	for _, id := range opened {
		move, _ := v.Model.Moves.Get(id)
		steps = append(steps, movement(v.Model, move)...)
	}
	return steps
}

// observedBy turns a node's report back into what its plan is made from. What a report does not
// say, such as when a restart falls due, leads to no step.
func observedBy(n cluster.Node, state cluster.NodeState, now time.Time) plan.Observed {
	paths := map[cluster.VolumeID]string{}
	seen := plan.Observed{Address: n.Address, // of no age: a deploy removes no copy of a former owner
		VolumesUnknown: state.VolumesUnknown, Path: func(id cluster.VolumeID) string { return paths[id] }}
	for _, c := range state.Volumes {
		paths[c.Volume], c.Changed = c.Path, now
		seen.Copies = append(seen.Copies, c)
	}
	for _, i := range state.Applications {
		if !i.Running && !i.Started.IsZero() && i.Ended.IsZero() { // an agent of an earlier version does not say
			i.Ended = now
		}
		seen.Instances = append(seen.Instances, i)
	}
	return seen
}

// leftBehind says of applications that are placed elsewhere what nodes keep of their data that no
// volume carries.
func leftBehind(v view.View) []wire.PlannedStep {
	var steps []wire.PlannedStep
	for n := range v.Model.Nodes.All() {
		node := v.Seen.Nodes.At(n.ID)
		if node == nil || node.State == nil {
			continue
		}
		for _, kept := range node.State.Kept {
			if app, ok := v.Model.Applications.Get(kept.Application); ok && app.Node != "" && app.Node != n.ID {
				steps = append(steps, wire.PlannedStep{Node: n.Name, Kind: "leave behind", Subject: string(app.Name),
					Reason: fmt.Sprintf("its data at %s are in no volume; the docker volume %s keeps them", kept.Path, kept.Volume)})
			}
		}
	}
	return steps
}

// subject names what a step is about by the names that people use.
func subject(m *records.Model, step plan.Step) string {
	if v, ok := m.Volumes.Get(step.Volume); ok && step.Application == "" {
		return "volume " + records.Name(v)
	}
	return step.Subject()
}

// movement lists the steps of a move that has not begun.
func movement(m *records.Model, move cluster.Move) []wire.PlannedStep {
	from, _ := m.Nodes.Get(move.From)
	to, _ := m.Nodes.Get(move.To)
	v, _ := m.Volumes.Get(move.Volume)
	subject, data := string(move.Application), "volume "+records.Name(v)
	if subject == "" {
		subject = data
	}
	if move.Phase == cluster.PhaseRolledBack {
		return []wire.PlannedStep{{Node: from.Name, Kind: "refuse to move", Subject: subject, Reason: move.Reason}}
	}
	if move.Phase == cluster.PhaseWaiting {
		return []wire.PlannedStep{{Node: from.Name, Kind: "wait", Subject: subject, Reason: move.Reason}}
	}
	steps := []wire.PlannedStep{
		{Node: to.Name, Kind: "get ready", Subject: subject, Reason: "it is to move here from " + from.Name},
		{Node: from.Name, Kind: "ship", Subject: data, Reason: "while the application runs, until the last round fits the pause budget"},
	}
	if move.Application != "" {
		steps = append(steps,
			wire.PlannedStep{Node: "all", Kind: "hold", Subject: subject, Reason: "new connections wait while it moves"},
			wire.PlannedStep{Node: from.Name, Kind: "stop", Subject: subject, Reason: "nothing may be written after the last snapshot"})
	}
	steps = append(steps,
		wire.PlannedStep{Node: from.Name, Kind: "ship the last round", Subject: data, Reason: "what changed since the round before"},
		wire.PlannedStep{Node: to.Name, Kind: "become owner", Subject: data, Reason: "from here on the move goes forward only"})
	if move.Application != "" {
		steps = append(steps,
			wire.PlannedStep{Node: to.Name, Kind: "start", Subject: subject, Reason: to.Name + " owns its volume"},
			wire.PlannedStep{Node: "all", Kind: "release", Subject: subject, Reason: "held connections go to " + to.Name})
	}
	return steps
}
