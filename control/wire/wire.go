// Package wire is what the control service and its clients agree on: paths, headers, bodies and
// how the kind of an error crosses HTTP. It has no client and no server.
//
// Paths that Flocker's v1 API had are answered as it answered them, with exactly its fields.
// Drover's own resources lie beside them under the same /v1 and look alike: JSON bodies, errors
// as {"description": ...}.
package wire

import (
	"time"

	"github.com/drover/drover/cluster"
)

// Paths of Drover's own resources. A segment that starts with ':' is a parameter.
const (
	// PathConfiguration: GET and PUT a ConfigurationDocument. PUT honours If-Match with the
	// revision as an ETag ("\"42\"") and answers ErrStale when it no longer is. PATCH a PatchDocument, under the
	// same condition; its answer has no configuration.
	PathConfiguration = "/v1/configuration"
	// PathPreview: POST a ConfigurationDocument; answers []PlannedStep: what would happen if it
	// were PUT. Nothing changes.
	PathPreview = "/v1/preview"
	// PathStatus: GET a Status: all that an operator wants to see at once.
	PathStatus = "/v1/status"
	// PathPending: GET a Missing: of the Subjects that the query names with "application", "volume" and "node", each
	// as often as there are any; of everything without.
	PathPending = "/v1/pending"
	// PathBackup: GET all that the service must not lose, at one instant, in the form of package
	// control/store/backup.
	PathBackup = "/v1/backup"
	// PathDrover: GET the Version of the service.
	PathDrover = "/v1/drover"

	// PathRecovery: GET a Recovery; POST an AcceptRequest, or nothing, accepts it, and answers the Recovery that was
	// accepted. ErrRefused: a node has not said yet what it has.
	PathRecovery = "/v1/recovery"

	// PathNodes: GET []NodeStatus.
	PathNodes = "/v1/nodes"
	// PathNode: PUT a cluster.Node by its own agent.
	PathNode = "/v1/nodes/:node"
	// PathNodeRemoval: POST a RemovalRequest by a user; answers the Removal. The node is given by id, name or
	// address.
	PathNodeRemoval = "/v1/nodes/:node/removal"
	// PathRemovedNodes: GET []cluster.RemovedNode, those that were removed last first.
	PathRemovedNodes = "/v1/removed-nodes"
	// PathRemovedNode: DELETE by a user: the node, by id or name, may register again.
	PathRemovedNode = "/v1/removed-nodes/:node"
	// PathNodeState: PUT a cluster.NodeState by the node's own agent.
	PathNodeState = "/v1/nodes/:node/state"
	// PathNodeHeartbeat: POST a Heartbeat by the node's own agent: nothing has changed since its last
	// state. ErrStale: the service does not have that state, and is to be sent it again.
	PathNodeHeartbeat = "/v1/nodes/:node/heartbeat"
	// PathNodeAssignment: GET a cluster.Assignment by the node's own agent. It waits, for at most the
	// query's "wait" (a duration), until the assignment's revision is greater than "since", and
	// answers 304 if it never is. A request with "since" says that the agent acts on that
	// revision, with its routes in force. That such requests come is the heartbeat of a node whose state
	// does not say how often it reports.
	// With "changes=true" the answer is an AssignmentChanges from "since"; a service of an earlier version gives
	// the whole assignment all the same.
	// "have" is the Digest of what the agent has of routes, nodes and keys, from whichever life of the service: if
	// these are as they are, they are not sent.
	// A request with HeaderBeats brings Heartbeats, JSON on a line each, as a body that lasts as long as the
	// poll: each counts as one of PathNodeHeartbeat, and one that is refused ends the poll with that error. The
	// end of the body ends the wait. A service that takes them says so in HeaderBeats of each answer; one of an
	// earlier version must not be sent any.
	// The path has the name that the first version gave it, so that agents of any version find it.
	PathNodeAssignment = "/v1/nodes/:node/slice"

	// PathKeys: GET []cluster.UserKey, by name.
	PathKeys = "/v1/keys"
	// PathKey: PUT a KeyRequest by a user, DELETE by a user. ErrExists: another key has that name,
	// or that key another name.
	PathKey = "/v1/keys/:key"

	// PathRevocations: GET []cluster.Revocation, by name.
	PathRevocations = "/v1/revocations"
	// PathRevocation: PUT by a user, of another one. Nothing takes it back.
	PathRevocation = "/v1/revocations/:user"

	// PathMoves: GET []cluster.Move, open ones first; POST a MoveRequest by a user.
	PathMoves = "/v1/moves"
	// PathMove: GET a cluster.Move; with "since" and "wait" it waits for a change as
	// PathNodeAssignment does, the revision being in the ETag.
	PathMove = "/v1/moves/:move"
	// PathMoveAbort: POST by a user. Answers ErrConflict once the move is committed.
	PathMoveAbort = "/v1/moves/:move/abort"
	// PathMoveReady: POST a ReadyReport by the target.
	PathMoveReady = "/v1/moves/:move/ready"
	// PathMoveProgress: POST a ProgressReport by the source.
	PathMoveProgress = "/v1/moves/:move/progress"
	// PathMoveHold: POST by the source; answers a HoldResult once every proxy that is in touch
	// holds, or did not in time.
	PathMoveHold = "/v1/moves/:move/hold"
	// PathMoveCommit: POST a CommitRequest by the source; answers the new cluster.Ownership. It
	// is idempotent. ErrConflict: the move was aborted or ended, and will never commit.
	PathMoveCommit = "/v1/moves/:move/commit"
	// PathMoveFailed: POST a FailureReport by the source, after it rolled back.
	PathMoveFailed = "/v1/moves/:move/failed"

	// PathVolumes: GET []VolumeStatus; POST a VolumeRequest.
	PathVolumes = "/v1/volumes"
	// PathVolume: GET a VolumeStatus, by name or id; DELETE it. Volumes that are deleted are found
	// by their ids. All calls that change a volume answer its VolumeStatus.
	PathVolume = "/v1/volumes/:volume"
	// PathVolumeChanges: GET a VolumeChanges of what has changed since "since"; it waits as PathMove does.
	PathVolumeChanges = "/v1/volume-changes"
	// PathVolumeResize: POST a ResizeRequest.
	PathVolumeResize = "/v1/volumes/:volume/resize"
	// PathVolumeUndelete: POST; by name it is the volume that was deleted last.
	PathVolumeUndelete = "/v1/volumes/:volume/undelete"
	// PathVolumeTakeover: POST a TakeoverRequest.
	PathVolumeTakeover = "/v1/volumes/:volume/takeover"
	// PathVolumeRollback: POST a RollbackRequest.
	PathVolumeRollback = "/v1/volumes/:volume/rollback"
	// PathSnapshots: GET []cluster.Snapshot that the owner holds and keeps; POST a
	// SnapshotRequest.
	PathSnapshots = "/v1/volumes/:volume/snapshots"
	// PathSnapshot: DELETE the wish for it; the owner removes it.
	PathSnapshot = "/v1/volumes/:volume/snapshots/:snapshot"

	// PathLogs: GET the output of an application, as it is written; with "follow=true" it goes on
	// until the application leaves its node. HeaderNode names that node, and TrailerError says why
	// the output ended if that is not its end.
	PathLogs = "/v1/applications/:application/logs"
	// PathNodeLogs: POST the output that a cluster.LogRequest of the node's assignment asks for, by the
	// node's own agent, with TrailerError if it could not be read to its end. It is answered once
	// nobody wants more of it.
	PathNodeLogs = "/v1/nodes/:node/logs/:request"

	// PathEvents: GET []cluster.Event with an id greater than "since"; waits up to "wait" when
	// there are none.
	PathEvents = "/v1/events"
	// PathNodeEvents: POST a cluster.Event by the node's own agent.
	PathNodeEvents = "/v1/nodes/:node/events"
)

// ConfigurationDocument is the configuration and the revision that it has.
type ConfigurationDocument struct {
	Revision      cluster.Revision      `json:"revision"`
	Configuration cluster.Configuration `json:"configuration"`
	// Changed, in the answer to a PUT: the write changed something.
	Changed bool `json:"changed"`
	// Moves, in the answer to a PUT, are the moves that it asked for.
	Moves []cluster.MoveID `json:"moves,omitempty"`
}

// PlannedStep is something that would be done.
type PlannedStep struct {
	// Node is the name of the node that does it; "all" for all proxies.
	Node    string `json:"node"`
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
}

// Status is the cluster at a glance.
type Status struct {
	Revision      cluster.Revision                       `json:"revision"`
	Nodes         []NodeStatus                           `json:"nodes"`
	Configuration cluster.Configuration                  `json:"configuration"`
	Ownerships    map[cluster.VolumeID]cluster.Ownership `json:"ownerships"`
	// Moves that are open, and the last few that ended.
	Moves  []cluster.Move  `json:"moves"`
	Routes []cluster.Route `json:"routes"`
	// Converged: every node that is in touch has done all that the configuration asks of it,
	// every application serves where it shall, and no move is open.
	Converged bool `json:"converged"`
	// Pending says, one sentence each, what is missing for that.
	Pending []string `json:"pending,omitempty"`
	// Suspended are the volumes of which there are copies later than the record, since the store has gone back,
	// with the sentence that says so: nothing happens to them until an operator accepts the store.
	Suspended map[cluster.VolumeID]string `json:"suspended,omitempty"`
	// Removed says what the nodes were called that were removed.
	Removed map[cluster.NodeID]string `json:"removed,omitempty"`
	// Gone are the nodes for which something of that waits and that are not there: to wait does not help.
	Gone []GoneNode `json:"gone,omitempty"`
}

// A GoneNode is one that was removed, or that has not been heard of for so long that nobody should wait for it.
type GoneNode struct {
	Node cluster.NodeID `json:"node"`
	Name string         `json:"name"`
	// Removed: an operator has removed it.
	Removed bool `json:"removed,omitempty"`
	// Since is when it was heard of last, or the service started; or when it was removed.
	Since time.Time `json:"since"`
	// Waits are those of Status.Pending that only the node, or an operator, can end.
	Waits []string `json:"waits"`
}

// Serves reports whether an application without a volume does what it is to do on a node, and no other node that
// is in touch still runs it.
func (s Status) Serves(app cluster.AppName, node cluster.NodeID) bool {
	serves := false
	for _, n := range s.Nodes {
		for _, a := range n.State.Applications {
			switch {
			case a.Name != app || !n.Live:
			case n.Node.ID == node:
				serves = a.Healthy && a.Settling == ""
			case a.Running:
				return false
			}
		}
	}
	return serves
}

// NodeStatus is a node with what it last said of itself.
type NodeStatus struct {
	Node  cluster.Node      `json:"node"`
	State cluster.NodeState `json:"state"`
	// Live: heard of within the last LivenessWindow.
	Live bool `json:"live"`
	// Heard is when the node was last heard of; zero: not since the service started.
	Heard time.Time `json:"heard,omitzero"`
	// Refused is another agent that says that it is this node; nil: none has lately.
	Refused *Refused `json:"refused,omitempty"`
}

// Refused is an agent that was refused as a node.
type Refused struct {
	Address string `json:"address"`
	Why     string `json:"why"`
	// WayOut is what an operator can do about it.
	WayOut string `json:"way_out,omitempty"`
}

// Heartbeat says that a node is there and that the last state that it reported still holds.
type Heartbeat struct {
	// Sequence is that of the state.
	Sequence uint64 `json:"sequence"`
	// Told is what cluster.NodeState.Told would be now.
	Told cluster.Revision `json:"told,omitempty"`
	// Polling: it came in a poll, which is open.
	Polling bool `json:"-"`
}

// HeaderBeats is the header by which a poll has heartbeats in its body, and by which a service says that it takes them.
const HeaderBeats = "Drover-Beats"

// LivenessWindow is how long after its last word a node counts as in touch.
const LivenessWindow = 15 * time.Second

// MoveRequest asks for a move of an application with its volume, or of a volume without one.
type MoveRequest struct {
	Application cluster.AppName `json:"application,omitempty"`
	Volume      string          `json:"volume,omitempty"`
	// To is a node's id, name or address.
	To string `json:"to"`
	// Alone: a Volume that an application which shall run uses, or that a lease keeps where it is,
	// stays there, and the result is ErrConflict.
	Alone bool `json:"alone,omitempty"`
}

// ReadyReport is the target's answer to a move in its prepare phase.
type ReadyReport struct {
	Attempt int `json:"attempt"`
	// Refused says why the target cannot take the volume; empty: it is ready.
	Refused string `json:"refused,omitempty"`
}

// ProgressReport is where the source stands with a move.
type ProgressReport struct {
	Attempt int           `json:"attempt"`
	Phase   cluster.Phase `json:"phase"`
	Reason  string        `json:"reason,omitempty"`
	Stats   cluster.Stats `json:"figures"`
}

// AttemptRequest names one attempt of a move: the body of a hold.
type AttemptRequest struct {
	Attempt int `json:"attempt"`
}

// HoldResult says which proxies hold now.
type HoldResult struct {
	// Holding counts the proxies that do; Missing names the nodes in touch that have not
	// confirmed it.
	Holding int              `json:"holding"`
	Missing []cluster.NodeID `json:"missing,omitempty"`
}

// CommitRequest asks for the change of owner.
type CommitRequest struct {
	Attempt int           `json:"attempt"`
	Epoch   cluster.Epoch `json:"epoch"`
	// Base is the GUID of the last snapshot, which the target has confirmed to hold.
	Base  string        `json:"base"`
	Stats cluster.Stats `json:"figures"`
}

// FailureReport says that an attempt did not work out and that the source is as before.
type FailureReport struct {
	Attempt int    `json:"attempt"`
	Reason  string `json:"reason"`
	// Final: trying again would not help.
	Final bool          `json:"final"`
	Stats cluster.Stats `json:"figures"`
}

// KeyRequest is a user's public key, as ssh-keygen writes it.
type KeyRequest struct {
	Key string `json:"key"`
}

// Version is the answer of PathDrover.
type Version struct {
	Version string `json:"version"`
	// Cluster is the id of the cluster: the subject of its certificate authority.
	Cluster string `json:"cluster"`
}
