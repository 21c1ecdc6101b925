package api

import (
	"context"
	"io"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// A Service is what the API is the API of. Package control has the real one.
type Service interface {
	ConfigurationService
	BackupService
	NodeService
	MoveService
	ReportService
	VolumeService
	SnapshotService
	KeyService
	UserService
	RecoveryService
	EventService
	LogService
}

// A ConfigurationService keeps what users want. What it returns must not be changed, except for
// configurations.
type ConfigurationService interface {
	Version() wire.Version
	Status() wire.Status
	// Pending says what is missing of those subjects.
	Pending(of wire.Subjects) (wire.Missing, error)
	Configuration() (cluster.Configuration, cluster.Revision)
	// Configure replaces the configuration. With a from other than zero it must be of that
	// revision still, else the result is cluster.ErrStale.
	Configure(ctx context.Context, from cluster.Revision, next cluster.Configuration) (wire.ConfigurationDocument, error)
	// Patch is Configure by what changes alone. Its answer has no configuration.
	Patch(ctx context.Context, from cluster.Revision, p wire.ConfigurationPatch) (wire.ConfigurationDocument, error)
	// Preview says what Configure would lead to, and changes nothing.
	Preview(ctx context.Context, next cluster.Configuration) ([]wire.PlannedStep, error)
	// Edit changes the configuration as one write. It may call edit several times, each time
	// with a configuration that edit may change. The error of edit is returned as it is.
	Edit(ctx context.Context, edit func(*cluster.Configuration) error) (wire.ConfigurationDocument, error)
}

// A BackupService tells all that it must not lose.
type BackupService interface {
	// Backup returns it as it was at one instant, in the form of package control/store/backup.
	Backup(ctx context.Context) ([]byte, error)
}

// A NodeService hears of nodes and tells each its assignment, and forgets those that are gone.
type NodeService interface {
	Nodes() []wire.NodeStatus
	Register(ctx context.Context, n cluster.Node) error
	// Admitted refuses a node that was removed: nothing that it or its plugin asks for is done.
	Admitted(id cluster.NodeID) error
	RemoveNode(ctx context.Context, node string, r wire.RemovalRequest) (wire.Removal, error)
	RemovedNodes() []cluster.RemovedNode
	ReadmitNode(ctx context.Context, nameOrID string) (cluster.RemovedNode, error)
	Report(ctx context.Context, s cluster.NodeState) error
	// Heartbeat says that the last report of the node still holds, which is cluster.ErrStale if it is not known.
	Heartbeat(ctx context.Context, node cluster.NodeID, b wire.Heartbeat) error
	// Assignment waits until the assignment has another revision than since, or returns the error of ctx.
	Assignment(ctx context.Context, node cluster.NodeID, since cluster.Revision) (cluster.Assignment, error)
	// AssignmentChanges is Assignment for an agent that remembers the one of revision since.
	AssignmentChanges(ctx context.Context, node cluster.NodeID, since cluster.Revision) (wire.AssignmentChanges, error)
}

// A MoveService takes orders of users about moves.
type MoveService interface {
	Moves() []cluster.Move
	// Move waits, when since is not zero, until the move has another revision, or returns the
	// error of ctx.
	Move(ctx context.Context, id cluster.MoveID, since cluster.Revision) (cluster.Move, cluster.Revision, error)
	RequestMove(ctx context.Context, r wire.MoveRequest) (cluster.Move, error)
	AbortMove(ctx context.Context, id cluster.MoveID) (cluster.Move, error)
}

// A ReportService hears of moves from their two nodes, and refuses what is not theirs to say.
type ReportService interface {
	Ready(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.ReadyReport) error
	Progress(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.ProgressReport) error
	Hold(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.AttemptRequest) (wire.HoldResult, error)
	Commit(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.CommitRequest) (cluster.Ownership, error)
	Failed(ctx context.Context, node cluster.NodeID, id cluster.MoveID, r wire.FailureReport) error
}

// A VolumeService knows volumes and their copies, and takes orders of users about them.
type VolumeService interface {
	Volumes() []wire.VolumeStatus
	Volume(nameOrID string) (wire.VolumeStatus, error)
	// VolumeChanges waits until a volume has changed since that revision, or returns the error of ctx.
	VolumeChanges(ctx context.Context, since cluster.Revision) (wire.VolumeChanges, error)
	CreateVolume(ctx context.Context, r wire.VolumeRequest) (wire.VolumeStatus, error)
	ResizeVolume(ctx context.Context, nameOrID string, r wire.ResizeRequest) (wire.VolumeStatus, error)
	DeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error)
	UndeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error)
}

// A SnapshotService takes orders of users about snapshots of volumes.
type SnapshotService interface {
	RequestSnapshot(ctx context.Context, volume string, r wire.SnapshotRequest) error
	DropSnapshot(ctx context.Context, volume string, snapshot cluster.SnapshotName) (wire.VolumeStatus, error)
	TakeOverVolume(ctx context.Context, nameOrID string, r wire.TakeoverRequest) (wire.VolumeStatus, error)
	RollbackVolume(ctx context.Context, volume string, r wire.RollbackRequest) (wire.VolumeStatus, error)
}

// A KeyService keeps the keys of users.
type KeyService interface {
	Keys() []cluster.UserKey
	AddKey(ctx context.Context, name string, r wire.KeyRequest) error
	RemoveKey(ctx context.Context, name string) error
}

// A UserService knows who was shut out.
type UserService interface {
	Revocations() []cluster.Revocation
	// Revoked is asked before each call of a user.
	Revoked(user string) bool
	RevokeUser(ctx context.Context, name, by string) error
}

// A RecoveryService knows whether the store has gone back, and what an operator is to accept.
type RecoveryService interface {
	Recovery() wire.Recovery
	AcceptRecovery(ctx context.Context, r wire.AcceptRequest) (wire.Recovery, error)
}

// An EventService keeps events.
type EventService interface {
	// Events returns those after since, waiting for one until ctx ends.
	Events(ctx context.Context, since uint64) ([]cluster.Event, error)
	Record(ctx context.Context, e cluster.Event) error
}

// A LogService brings the output of applications from their nodes to users.
type LogService interface {
	// Logs returns the output as it comes in, and the name of the node that it comes from. Closing
	// it frees a Read under way.
	Logs(ctx context.Context, app cluster.AppName, follow bool) (node string, output io.ReadCloser, err error)
	// AnswerLogs takes the output that a request asked a node for. It returns once nobody reads it
	// any more, and has closed it unless it returns an error.
	AnswerLogs(node cluster.NodeID, id cluster.LogID, output io.ReadCloser) error
}
