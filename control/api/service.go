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
	NodeService
	MoveService
	ReportService
	VolumeService
	SnapshotService
	KeyService
	EventService
	LogService
}

// A ConfigurationService keeps what users want. What it returns must not be changed, except for
// configurations.
type ConfigurationService interface {
	Version() wire.Version
	Status() wire.Status
	Configuration() (cluster.Configuration, cluster.Revision)
	// Configure replaces the configuration. With a from other than zero it must be of that
	// revision still, else the result is cluster.ErrStale.
	Configure(ctx context.Context, from cluster.Revision, next cluster.Configuration) (wire.ConfigurationDocument, error)
	// Preview says what Configure would lead to, and changes nothing.
	Preview(ctx context.Context, next cluster.Configuration) ([]wire.PlannedStep, error)
	// Edit changes the configuration as one write. It may call edit several times, each time
	// with a configuration that edit may change. The error of edit is returned as it is.
	Edit(ctx context.Context, edit func(*cluster.Configuration) error) (wire.ConfigurationDocument, error)
}

// A NodeService hears of nodes and tells each its slice.
type NodeService interface {
	Nodes() []wire.NodeStatus
	Register(ctx context.Context, n cluster.Node) error
	Report(ctx context.Context, s cluster.NodeState) error
	// Slice waits until the slice has another revision than since, or returns the error of ctx.
	Slice(ctx context.Context, node cluster.NodeID, since cluster.Revision) (cluster.Slice, error)
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
	// Catalogue waits until a volume has changed since that revision, or returns the error of ctx.
	Catalogue(ctx context.Context, since cluster.Revision) (wire.Catalogue, error)
	CreateVolume(ctx context.Context, r wire.VolumeRequest) (wire.VolumeStatus, error)
	ResizeVolume(ctx context.Context, nameOrID string, r wire.ResizeRequest) (wire.VolumeStatus, error)
	DeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error)
	UndeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error)
}

// A SnapshotService takes orders of users about snapshots of volumes.
type SnapshotService interface {
	RequestSnapshot(ctx context.Context, volume string, r wire.SnapshotRequest) error
	DropSnapshot(ctx context.Context, volume string, snapshot cluster.SnapshotName) (wire.VolumeStatus, error)
	RollbackVolume(ctx context.Context, volume string, r wire.RollbackRequest) (wire.VolumeStatus, error)
}

// A KeyService keeps the keys of users.
type KeyService interface {
	Keys() []cluster.UserKey
	AddKey(ctx context.Context, name string, r wire.KeyRequest) error
	RemoveKey(ctx context.Context, name string) error
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
