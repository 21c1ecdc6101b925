package control

import (
	"context"
	"log/slog"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
)

// Preview returns what the nodes would do if next were the configuration, and changes nothing.
// It refuses what Configure would. Steps are those of the agents' own plan, by the states that
// they last reported; the steps of a move follow each other, the others do not wait.
func (s *Service) Preview(ctx context.Context, next cluster.Configuration) ([]wire.PlannedStep, error) {
	shadow, err := s.shadow(ctx)
	if err != nil {
		return nil, err
	}
	document, err := shadow.Configure(ctx, 0, next)
	if err != nil {
		return nil, err
	}
	steps := []wire.PlannedStep{}
	for n := range shadow.model.nodes.all() {
		session := shadow.sessions[n.ID]
		if session == nil || session.state == nil {
			continue
		}
		slice := part(shadow.model, shadow.observed, n.ID)
		slice.Nodes = slices.Collect(shadow.model.nodes.all())
		p := plan.Diff(slice, observedBy(n, *session.state), now())
		for _, lane := range p.Lanes {
			for _, step := range lane.Steps {
				if step.Kind != plan.GetReady { // the first step of its move, which follows
					steps = append(steps, wire.PlannedStep{Node: n.Name, Kind: string(step.Kind), Subject: shadow.model.subject(step), Reason: step.Reason})
				}
			}
		}
	}
	for _, id := range document.Moves {
		move, _ := shadow.model.moves.get(id)
		steps = append(steps, shadow.model.movement(move)...)
	}
	return steps, nil
}

// shadow returns a service with the same model and the same reports, whose writes go nowhere.
func (s *Service) shadow(ctx context.Context) (*Service, error) {
	records, revision, err := s.store.Load(ctx)
	if err != nil {
		return nil, err
	}
	m, err := loadModel(records, revision)
	if err != nil {
		return nil, err
	}
	options := s.options
	options.Log = slog.New(slog.DiscardHandler)
	shadow := &Service{store: nowhere{revision: revision}, options: options, started: s.started, model: m,
		sessions: map[cluster.NodeID]*session{}, progress: map[cluster.MoveID]progress{},
		conflicts: map[cluster.VolumeID]string{}, watch: watch{moves: map[cluster.MoveID]*movement{}}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.sessions {
		shadow.sessions[id] = &session{node: id, silent: n.silent, heard: n.heard, touch: n.touch, state: n.state, settled: n.settled}
	}
	shadow.observed = s.observed.clone()
	return shadow, nil
}

// nowhere is a store that forgets what is written to it.
type nowhere struct {
	store.Store
	revision cluster.Revision
}

func (n nowhere) Write(context.Context, store.Batch) (cluster.Revision, error) {
	return n.revision + 1, nil
}

// observedBy turns a node's report back into what its plan is made from. What a report does not
// say, such as when a restart falls due, leads to no step.
func observedBy(n cluster.Node, state cluster.NodeState) plan.Observed {
	paths := map[cluster.VolumeID]string{}
	seen := plan.Observed{Address: n.Address, VolumesUnknown: state.VolumesUnknown, Path: func(id cluster.VolumeID) string { return paths[id] }}
	for _, v := range state.Volumes {
		paths[v.Volume] = v.Path
		seen.Copies = append(seen.Copies, volume.Copy{Volume: v.Volume, Role: v.Role, Epoch: v.Epoch, Open: v.Open,
			Path: v.Path, UsedBytes: v.UsedBytes, LimitBytes: v.LimitSize, Changed: now(), Snapshots: v.Snapshots, Rollback: v.Rollback})
	}
	for _, a := range state.Applications {
		i := runtime.Instance{Name: a.Name, Volume: a.Volume, Epoch: a.Epoch, Fingerprint: a.Fingerprint, Running: a.Running}
		if !a.Running && !a.Started.IsZero() {
			i.Ended = now()
		}
		seen.Instances = append(seen.Instances, i)
	}
	return seen
}

// subject names what a step is about by the names that people use.
func (m *model) subject(step plan.Step) string {
	if v, ok := m.volumes.get(step.Volume); ok && step.Application == "" {
		return "volume " + nameOf(v)
	}
	return step.Subject()
}

func nameOf(v cluster.Volume) string {
	if v.Name != "" {
		return v.Name
	}
	return string(v.ID)
}

// movement lists the steps of a move that has not begun.
func (m *model) movement(move cluster.Move) []wire.PlannedStep {
	from, _ := m.nodes.get(move.From)
	to, _ := m.nodes.get(move.To)
	v, _ := m.volumes.get(move.Volume)
	subject, data := string(move.Application), "volume "+nameOf(v)
	if subject == "" {
		subject = data
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
