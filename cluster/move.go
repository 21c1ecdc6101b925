package cluster

import "time"

// Phase is where a move stands. The order of the constants is the order of a move.
type Phase string

// The phases of a move. Up to PhaseFinal a move can only roll back; from PhasePromote on it can
// only go forward. The commit between them is one conditional write of Ownership.
const (
	// PhaseWaiting: asked for; a lease, a back-off or another move comes first.
	PhaseWaiting Phase = "waiting"
	// PhasePrepare: the target checks space, port, backend and version, and gets ready.
	PhasePrepare Phase = "prepare"
	// PhasePrecopy: the owner ships snapshots while the application runs.
	PhasePrecopy Phase = "precopy"
	// PhaseHold: the proxies hold new connections; then the application stops.
	PhaseHold Phase = "hold"
	// PhaseFinal: the application is stopped; the last round is shipped.
	PhaseFinal Phase = "final"
	// PhasePromote: committed; the target starts the application.
	PhasePromote Phase = "promote"
	// PhaseDone: the application serves on the target.
	PhaseDone Phase = "done"
	// PhaseRolledBack: it did not happen; the owner is who it was.
	PhaseRolledBack Phase = "rolled back"
)

// Committed reports whether the change of owner has happened.
func (p Phase) Committed() bool { return p == PhasePromote || p == PhaseDone }

// Ended reports whether nothing more happens.
func (p Phase) Ended() bool { return p == PhaseDone || p == PhaseRolledBack }

// Holds reports whether new connections to the application wait.
func (p Phase) Holds() bool { return p == PhaseHold || p == PhaseFinal || p == PhasePromote }

// Happened reports whether the volume has changed its owner by the move, whatever became of that later.
func (m Move) Happened() bool { return !m.Committed.IsZero() }

// A Move is one change of owner of a volume that a user, a drain or a failover asked for.
type Move struct {
	ID     MoveID   `json:"id"`
	Volume VolumeID `json:"volume"`
	// Name is what the volume was called when the move was made.
	Name string `json:"name,omitempty"`
	// Application uses the volume; empty when none does.
	Application AppName `json:"application,omitempty"`
	From        NodeID  `json:"from"`
	To          NodeID  `json:"to"`
	// Epoch is that of the owner when the move was made. Every order of the move carries it.
	Epoch Epoch `json:"epoch"`
	Phase Phase `json:"phase"`
	// Attempt counts from 1. A failure that may pass makes another attempt, up to MaxAttempts.
	Attempt int `json:"attempt"`
	// NotBefore: the next attempt starts no earlier, by the control service's clock.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Aborting: a user or the configuration no longer wants it. It cannot commit any more.
	Aborting bool `json:"aborting,omitempty"`
	// Ready: the target's checks passed and it waits for data.
	Ready bool `json:"ready,omitempty"`
	// Reason says why the move is where it is, why it was refused or why it rolled back.
	Reason string `json:"reason,omitempty"`
	// Deadline is when the present phase is given up; zero in phases without one.
	Deadline  time.Time `json:"deadline,omitzero"`
	Requested time.Time `json:"requested"`
	Started   time.Time `json:"started,omitzero"`
	// Held is when the proxies were told to hold, for the present attempt.
	Held time.Time `json:"held,omitzero"`
	// Committed is when the owner changed.
	Committed time.Time `json:"committed,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	Stats     Stats     `json:"figures"`
}

// MaxAttempts bounds how often a move is tried before it ends as rolled back.
const MaxAttempts = 8

// Stats are what a move measured.
type Stats struct {
	// EstimatedBytes is what a full copy of the volume comes to; a target that holds a replica
	// needs less.
	EstimatedBytes int64 `json:"estimated_bytes"`
	// Rounds holds one entry per pre-copy round, the last one under way.
	Rounds []Round `json:"rounds,omitempty"`
	// ImageBytes is what was shipped of the application's image, because the target could not get
	// it elsewhere.
	ImageBytes int64 `json:"image_bytes,omitempty"`
	// Final is the last round, shipped while the application was stopped.
	Final Round `json:"final"`
	// Proof says what showed, before the commit, that the target's copy equals the source's.
	Proof string `json:"proof,omitempty"`
	// Accepted says, if an operator has accepted something else on the target than what was committed,
	// what it is. Then there is no Proof.
	Accepted string `json:"accepted,omitempty"`
	// Pause is from the moment that the proxies hold until the route leads to the target.
	Pause time.Duration `json:"pause"`
	// Stop and Promote are its parts: the application's own stop, and the commit until it serves.
	Stop    time.Duration `json:"stop"`
	Promote time.Duration `json:"promote"`
}

// Round is one shipment of a snapshot.
type Round struct {
	// Bytes is what has been shipped so far, Expect what the whole round should come to (0: not
	// known).
	Bytes  int64         `json:"bytes"`
	Expect int64         `json:"expect,omitempty"`
	Took   time.Duration `json:"took"`
}

// PrecopiedBytes is what was shipped while the application ran.
func (f Stats) PrecopiedBytes() int64 {
	var n int64
	for _, r := range f.Rounds {
		n += r.Bytes
	}
	return n
}
