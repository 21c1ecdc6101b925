package apitest

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// A Call is a call of a Service that changes something, with its arguments but the context.
type Call struct {
	Method    string
	Arguments []any
}

// World is what a Service answers.
type World struct {
	Configuration cluster.Configuration
	Revision      cluster.Revision
	// Status is completed with what the other fields say.
	Status       wire.Status
	Nodes        []wire.NodeStatus
	Assignment   cluster.Assignment
	Moves        []cluster.Move
	Opened       []cluster.MoveID // by a change of the configuration
	MoveRevision cluster.Revision
	Volumes      []wire.VolumeStatus
	Keys         []cluster.UserKey
	Revocations  []cluster.Revocation
	Recovery     wire.Recovery
	Removal      wire.Removal
	Removed      []cluster.RemovedNode
	Events       []cluster.Event
	// Output is that of every application, on a node called a; OutputErr is how it ends.
	Output    string
	OutputErr error
	// Err, if set, is the error of every call that has one; Panic what every call panics with.
	Err   error
	Panic any
}

// A Service implements api.Service. Use NewService.
type Service struct {
	mu      sync.Mutex
	world   World
	calls   []Call
	changed chan struct{} // closed when the world changes
}

// NewService returns a service with an empty configuration at revision 1.
func NewService() *Service {
	return &Service{
		world:   World{Configuration: cluster.Configuration{}.Clone(), Revision: 1},
		changed: make(chan struct{}),
	}
}

// Set changes what the service answers, and frees those who wait for a change.
func (s *Service) Set(change func(*World)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.world)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Calls returns the calls so far.
func (s *Service) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// see returns the world, and a channel that is closed when it is another one.
func (s *Service) see() (World, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world.Panic != nil {
		panic(s.world.Panic)
	}
	return s.world, s.changed
}

func (s *Service) call(method string, arguments ...any) error {
	s.mu.Lock()
	s.calls = append(s.calls, Call{method, arguments})
	s.mu.Unlock()
	w, _ := s.see()
	return w.Err
}

// wait returns the world as soon as it is as asked, or the error of ctx.
func (s *Service) wait(ctx context.Context, asked func(World) bool) (World, error) {
	for {
		w, changed := s.see()
		if w.Err != nil || asked(w) {
			return w, w.Err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return w, ctx.Err()
		}
	}
}

// Version implements api.Service.
func (s *Service) Version() wire.Version { return wire.Version{Version: "test", Cluster: "c"} }

// Status implements api.Service.
func (s *Service) Status() wire.Status {
	w, _ := s.see()
	w.Status.Revision, w.Status.Nodes, w.Status.Configuration, w.Status.Moves = w.Revision, w.Nodes, w.Configuration, w.Moves
	return w.Status
}

// Pending answers what the status of the world says, of any subjects.
func (s *Service) Pending(of wire.Subjects) (wire.Missing, error) {
	err := s.call("Pending", of)
	return s.Status().Missing(), err
}

// Configuration implements api.Service.
func (s *Service) Configuration() (cluster.Configuration, cluster.Revision) {
	w, _ := s.see()
	return w.Configuration.Clone(), w.Revision
}

// Preview answers one step for each application.
func (s *Service) Preview(_ context.Context, next cluster.Configuration) ([]wire.PlannedStep, error) {
	steps := []wire.PlannedStep{}
	for name, app := range next.Applications {
		steps = append(steps, wire.PlannedStep{Node: string(app.Node), Kind: "start application", Subject: string(name)})
	}
	return steps, nil
}

// Configure implements api.Service.
func (s *Service) Configure(_ context.Context, from cluster.Revision, next cluster.Configuration) (wire.ConfigurationDocument, error) {
	if err := s.call("Configure", from, next); err != nil {
		return wire.ConfigurationDocument{}, err
	}
	return s.replace(from, func(c *cluster.Configuration) error { *c = next; return nil })
}

// Patch implements api.Service.
func (s *Service) Patch(_ context.Context, from cluster.Revision, p wire.ConfigurationPatch) (wire.ConfigurationDocument, error) {
	if err := s.call("Patch", from, p); err != nil {
		return wire.ConfigurationDocument{}, err
	}
	doc, err := s.replace(from, p.Apply)
	doc.Configuration = cluster.Configuration{}
	return doc, err
}

// Edit implements api.Service.
func (s *Service) Edit(_ context.Context, edit func(*cluster.Configuration) error) (wire.ConfigurationDocument, error) {
	if w, _ := s.see(); w.Err != nil {
		return wire.ConfigurationDocument{}, w.Err
	}
	// A first time for nothing: edit must bear to be called again.
	if err := edit(new(s.copied())); err != nil {
		return wire.ConfigurationDocument{}, err
	}
	return s.replace(0, edit)
}

func (s *Service) copied() cluster.Configuration {
	c, _ := s.Configuration()
	return c
}

func (s *Service) replace(from cluster.Revision, edit func(*cluster.Configuration) error) (wire.ConfigurationDocument, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from != 0 && from != s.world.Revision {
		return wire.ConfigurationDocument{}, fmt.Errorf("%w: the configuration is at revision %d", cluster.ErrStale, s.world.Revision)
	}
	next := s.world.Configuration.Clone()
	if err := edit(&next); err != nil {
		return wire.ConfigurationDocument{}, err
	}
	if err := next.Validate().Err(); err != nil {
		return wire.ConfigurationDocument{}, err
	}
	changed := !reflect.DeepEqual(next.Clone(), s.world.Configuration.Clone())
	if changed {
		s.world.Revision++
		s.world.Configuration = next
	}
	return wire.ConfigurationDocument{Revision: s.world.Revision, Configuration: next, Changed: changed, Moves: s.world.Opened}, nil
}

// Nodes implements api.Service.
func (s *Service) Nodes() []wire.NodeStatus {
	w, _ := s.see()
	return w.Nodes
}

// Admitted implements api.Service.
func (s *Service) Admitted(id cluster.NodeID) error {
	w, _ := s.see()
	for _, r := range w.Removed {
		if r.ID == id {
			return fmt.Errorf("%w: node %s", cluster.ErrRemoved, id)
		}
	}
	return nil
}

// RemoveNode implements api.Service.
func (s *Service) RemoveNode(_ context.Context, node string, r wire.RemovalRequest) (wire.Removal, error) {
	w, _ := s.see()
	w.Removal.Done = r.Confirmed
	return w.Removal, s.call("RemoveNode", node, r)
}

// RemovedNodes implements api.Service.
func (s *Service) RemovedNodes() []cluster.RemovedNode {
	w, _ := s.see()
	return w.Removed
}

// ReadmitNode implements api.Service.
func (s *Service) ReadmitNode(_ context.Context, nameOrID string) (cluster.RemovedNode, error) {
	return cluster.RemovedNode{ID: cluster.NodeID(nameOrID)}, s.call("ReadmitNode", nameOrID)
}

// Register implements api.Service.
func (s *Service) Register(_ context.Context, n cluster.Node) error { return s.call("Register", n) }

// Report implements api.Service.
func (s *Service) Report(_ context.Context, state cluster.NodeState) error {
	return s.call("Report", state)
}

// Heartbeat implements api.Service.
func (s *Service) Heartbeat(_ context.Context, node cluster.NodeID, b wire.Heartbeat) error {
	return s.call("Heartbeat", node, b)
}

// Assignment implements api.Service.
func (s *Service) Assignment(ctx context.Context, node cluster.NodeID, since cluster.Revision) (cluster.Assignment, error) {
	w, err := s.wait(ctx, func(w World) bool { return w.Assignment.Revision != since })
	w.Assignment.Node = node
	return w.Assignment, err
}

// AssignmentChanges implements api.Service.
func (s *Service) AssignmentChanges(ctx context.Context, node cluster.NodeID, since cluster.Revision) (wire.AssignmentChanges, error) {
	assignment, err := s.Assignment(ctx, node, since)
	return wire.AssignmentChanges{Assignment: assignment}, err
}

// Moves implements api.Service.
func (s *Service) Moves() []cluster.Move {
	w, _ := s.see()
	return w.Moves
}

// Move implements api.Service.
func (s *Service) Move(ctx context.Context, id cluster.MoveID, since cluster.Revision) (cluster.Move, cluster.Revision, error) {
	w, err := s.wait(ctx, func(w World) bool { return since == 0 || w.MoveRevision != since })
	if err != nil {
		return cluster.Move{}, 0, err
	}
	for _, m := range w.Moves {
		if m.ID == id {
			return m, w.MoveRevision, nil
		}
	}
	return cluster.Move{}, 0, fmt.Errorf("%w: no move %s", cluster.ErrNotFound, id)
}

// RequestMove implements api.Service.
func (s *Service) RequestMove(_ context.Context, r wire.MoveRequest) (cluster.Move, error) {
	return cluster.Move{ID: "m", Application: r.Application, To: cluster.NodeID(r.To)}, s.call("RequestMove", r)
}

// AbortMove implements api.Service.
func (s *Service) AbortMove(_ context.Context, id cluster.MoveID) (cluster.Move, error) {
	return cluster.Move{ID: id, Aborting: true}, s.call("AbortMove", id)
}

// Ready implements api.Service.
func (s *Service) Ready(_ context.Context, node cluster.NodeID, id cluster.MoveID, r wire.ReadyReport) error {
	return s.call("Ready", node, id, r)
}

// Progress implements api.Service.
func (s *Service) Progress(_ context.Context, node cluster.NodeID, id cluster.MoveID, r wire.ProgressReport) error {
	return s.call("Progress", node, id, r)
}

// Hold implements api.Service.
func (s *Service) Hold(_ context.Context, node cluster.NodeID, id cluster.MoveID, r wire.AttemptRequest) (wire.HoldResult, error) {
	return wire.HoldResult{Holding: 2, Missing: []cluster.NodeID{NodeB}}, s.call("Hold", node, id, r)
}

// Commit implements api.Service.
func (s *Service) Commit(_ context.Context, node cluster.NodeID, id cluster.MoveID, r wire.CommitRequest) (cluster.Ownership, error) {
	return cluster.Ownership{Owner: NodeB, Epoch: r.Epoch + 1, Base: r.Base}, s.call("Commit", node, id, r)
}

// Failed implements api.Service.
func (s *Service) Failed(_ context.Context, node cluster.NodeID, id cluster.MoveID, r wire.FailureReport) error {
	return s.call("Failed", node, id, r)
}

// Backup implements api.Service.
func (s *Service) Backup(context.Context) ([]byte, error) { return []byte("backup"), s.call("Backup") }

// Keys implements api.Service.
func (s *Service) Keys() []cluster.UserKey {
	w, _ := s.see()
	return w.Keys
}

// Revocations implements api.Service.
func (s *Service) Revocations() []cluster.Revocation {
	w, _ := s.see()
	return w.Revocations
}

// Revoked implements api.Service.
func (s *Service) Revoked(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.world.Revocations, func(r cluster.Revocation) bool { return r.User == user })
}

// RevokeUser implements api.Service.
func (s *Service) RevokeUser(_ context.Context, name, by string) error {
	return s.call("RevokeUser", name, by)
}

// AddKey implements api.Service.
func (s *Service) AddKey(_ context.Context, name string, r wire.KeyRequest) error {
	return s.call("AddKey", name, r)
}

// RemoveKey implements api.Service.
func (s *Service) RemoveKey(_ context.Context, name string) error {
	return s.call("RemoveKey", name)
}

// Recovery implements api.Service.
func (s *Service) Recovery() wire.Recovery {
	w, _ := s.see()
	return w.Recovery
}

// AcceptRecovery implements api.Service.
func (s *Service) AcceptRecovery(_ context.Context, r wire.AcceptRequest) (wire.Recovery, error) {
	w, _ := s.see()
	return w.Recovery, s.call("AcceptRecovery", r)
}

// Events implements api.Service.
func (s *Service) Events(ctx context.Context, since uint64) ([]cluster.Event, error) {
	after := func(w World) []cluster.Event {
		i := slices.IndexFunc(w.Events, func(e cluster.Event) bool { return e.ID > since })
		if i < 0 {
			return nil
		}
		return w.Events[i:]
	}
	w, err := s.wait(ctx, func(w World) bool { return len(after(w)) > 0 })
	if err != nil && w.Err == nil {
		return nil, nil // the time is up, and there are none
	}
	return after(w), err
}

// Record implements api.Service.
func (s *Service) Record(_ context.Context, e cluster.Event) error { return s.call("Record", e) }

// Logs answers the output of the world. With follow it does not end before its reader does.
func (s *Service) Logs(_ context.Context, app cluster.AppName, follow bool) (string, io.ReadCloser, error) {
	if err := s.call("Logs", app, follow); err != nil {
		return "", nil, err
	}
	w, _ := s.see()
	r, output := io.Pipe()
	go func() {
		_, err := io.Copy(output, strings.NewReader(w.Output))
		if err == nil && !follow {
			output.CloseWithError(w.OutputErr)
		}
	}()
	return "a", r, nil
}

// AnswerLogs reads all that a node sends; it, and how it ended, is part of the call.
func (s *Service) AnswerLogs(node cluster.NodeID, id cluster.LogID, output io.ReadCloser) error {
	defer output.Close()
	text, err := io.ReadAll(output)
	return s.call("AnswerLogs", node, id, string(text), err)
}
