// Package plan decides what an agent does to make its node match what the control service asks.
//
//	p := plan.Diff(assignment, observed, now)
//	for _, lane := range p.Lanes { for _, step := range lane.Steps { ... } }
//
// It is a pure function: values in, values out; no clock, no randomness, no I/O, sorted
// iteration. A step carries its reason, written for the operator at 3 a.m., which is the same in
// `drover plan`, in the logs and in `drover status`. What an agent must not decide by itself is a
// conflict: a value with its evidence, not an error.
//
//	assignment ----\
//	           Diff --> Plan: lanes of steps, conflicts, when to look again
//	observed -/
package plan

import (
	"time"

	"github.com/drover/drover/cluster"
)

// Kind is what a step does. Every step is idempotent: it looks at the world and does what is
// missing.
type Kind string

// The kinds of step, in the order of a volume's life on a node.
const (
	// CreateVolume makes the first copy of a volume: empty, or from its origin.
	CreateVolume Kind = "create volume"
	// RestoreVolume takes the copy out of the trash.
	RestoreVolume Kind = "restore volume"
	// RollbackVolume makes the content that of a snapshot again.
	RollbackVolume Kind = "roll back volume"
	// OpenVolume makes the copy writable.
	OpenVolume Kind = "open volume"
	// ResizeVolume sets its size limit.
	ResizeVolume Kind = "resize volume"
	// LabelVolume shows people what it is called.
	LabelVolume Kind = "label volume"
	// Snapshot makes a snapshot that the user asked for.
	Snapshot Kind = "snapshot volume"
	// DropSnapshot removes a snapshot.
	DropSnapshot Kind = "drop snapshot"
	// CheckInstance sees that an application can be made here, before another one is stopped for it.
	CheckInstance Kind = "check application"
	// CarryImage brings the image of an application to where it is to run, if that has it from nowhere else.
	CarryImage Kind = "carry image"
	// CreateInstance makes an application ready to start.
	CreateInstance Kind = "create application"
	// StartInstance starts it.
	StartInstance Kind = "start application"
	// StopInstance stops it.
	StopInstance Kind = "stop application"
	// RemoveInstance forgets it.
	RemoveInstance Kind = "remove application"
	// CloseVolume ends writing to the copy.
	CloseVolume Kind = "close volume"
	// DemoteVolume makes the copy a replica.
	DemoteVolume Kind = "demote volume"
	// RemoveVolume puts the copy into the trash.
	RemoveVolume Kind = "remove volume"
	// GetReady checks that a volume can arrive, and says so.
	GetReady Kind = "get ready"
	// HandOff moves the volume to another node. It takes as long as it takes.
	HandOff Kind = "hand off"
	// GiveUp tells the control service that an attempt of a move did not work out.
	GiveUp Kind = "give up"
	// Resolve asks whether a move whose commit was under way has happened.
	Resolve Kind = "resolve move"
)

// A Step is one idempotent action.
type Step struct {
	Kind Kind
	// Application is set for steps on instances; Spec is what the instance is made from.
	Application cluster.AppName
	Spec        cluster.Spec
	// To is the node of CarryImage.
	To cluster.NodeID
	// Volume, Epoch and Base are set for steps on volumes.
	Volume cluster.VolumeID
	Epoch  cluster.Epoch
	Base   string
	// Name is the snapshot of Snapshot, DropSnapshot and RollbackVolume, whose wish is Wish.
	Name cluster.SnapshotName
	Wish string
	// Wanted is the volume of CreateVolume, and Labels what CreateVolume and LabelVolume call it.
	Wanted cluster.Volume
	Labels cluster.Labels
	// Limit is the size limit of CreateVolume and ResizeVolume in bytes.
	Limit int64
	// Move is that of GetReady, HandOff, GiveUp and Resolve.
	Move cluster.Move
	// Final: another attempt of a move that is given up would end in the same way.
	Final bool
	// Reason says why.
	Reason string
}

// Subject names what the step acts on, for people.
func (s Step) Subject() string {
	if s.Application != "" {
		return string(s.Application)
	}
	return string(s.Volume)
}

// A Lane holds the steps that must follow one another: see lanes.go. Lanes do not wait for each other but
// for those that they name.
type Lane struct {
	// Key identifies the lane from one plan to the next.
	Key   string
	Steps []Step
	// After are the keys of lanes that must be idle when this one begins.
	After []string
	// Apart: no step depends on an earlier one, so one that fails holds up none.
	Apart bool
}

// A Plan is what to do now.
type Plan struct {
	Lanes     []Lane
	Conflicts []cluster.Conflict
	// Wake is when the plan may change by time alone (a restart falls due, a grace period
	// ends); zero: never.
	Wake time.Time
}

// Observed is what a node sees of itself.
type Observed struct {
	Instances []cluster.Instance
	// InstancesUnknown says why there is no telling which applications run. Then nothing is done to
	// them, nor to volumes that one uses. Others are brought up, and may arrive: what runs the
	// applications, an engine that starts say, may wait for them itself. None is taken away.
	InstancesUnknown string
	Copies           []cluster.Copy
	// Trash holds the copies that were removed. It may be left out if no volume that this node owns
	// lacks its copy.
	Trash []cluster.Copy
	// Made are volumes that were here before, sorted, whatever the record says.
	Made []cluster.VolumeID
	// VolumesUnknown says why there is no telling which copies there are; then nothing is done to
	// volumes, nor to what uses them.
	VolumesUnknown string
	// Restarts decides, for an instance that has ended by itself, whether and when it is
	// started again; the zero time means not.
	Restarts map[cluster.AppName]Restart
	// Undecided are the moves whose commit was asked for and not answered before the agent was
	// restarted. Nobody may touch their volumes until the control service has been asked.
	Undecided map[cluster.VolumeID]cluster.Move
	// Broken are the attempts of moves that ended here without the volume having moved, and
	// GaveUp those of which the control service knows.
	Broken, GaveUp map[cluster.MoveID]int
	// Answered are the attempts that this node, as their target, has said to be ready for, or
	// to refuse.
	Answered map[cluster.MoveID]int
	// Carried says of applications which node has their image, as it has lately said.
	Carried map[cluster.AppName]cluster.NodeID
	// Address is the node's own, Private where its applications listen for proxies, if elsewhere.
	Address, Private string
	// Path returns where a volume is mounted.
	Path func(cluster.VolumeID) string
	// Tight: space is short, and a snapshot that is dropped can still be built on.
	Tight bool
	// Grace is how long the copy of a former owner is kept.
	Grace time.Duration
	// Aged is the time, by the clock that dates copies, before which all that it dates was for good as long
	// ago as that. Zero: that is not known of anything.
	Aged time.Time
}

// A Restart is what the restart policy says of an instance that has ended.
type Restart struct {
	Again  bool
	At     time.Time
	Reason string
}
