package cluster

import "cmp"

// An Assignment is what the control service tells one node: its part of the configuration and what it
// must know of others to act on it. All of it but Routes, Nodes and Keys is the node's own part, of which it gets
// a new one only when that changed.
type Assignment struct {
	Revision Revision `json:"revision"`
	// Life names the life of the control service, from one start to its end, that gave it. Empty: one of an earlier
	// version does not say.
	Life string `json:"life,omitempty"`
	// Own is the revision since which the configuration asks of this node what it does now. Zero: a control
	// service of an earlier version does not say.
	Own  Revision `json:"own,omitempty"`
	Node NodeID   `json:"node"`
	// Applications that shall run here now: those without a volume that are placed here, and
	// those whose volume this node owns.
	Applications []Application `json:"applications"`
	// Volumes that this node owns.
	Volumes []OwnedVolume `json:"volumes"`
	// Owners tells of the volumes of which this node reported a copy but that another node owns.
	Owners []ForeignVolume `json:"owners,omitempty"`
	// Deleted are the volumes of which this node reported a copy and that a user deleted.
	Deleted []VolumeID `json:"deleted,omitempty"`
	// Moves that are open and begin or end here.
	Moves []Move `json:"moves,omitempty"`
	// Arriving are the volumes and applications of the open moves that end here, and the applications
	// without a volume that still run elsewhere.
	Arriving []Arrival `json:"arriving,omitempty"`
	// Drains are the applications without a volume that run here until they do elsewhere.
	Drains []Drain `json:"drains,omitempty"`
	// Logs are the requests for the output of applications that run here.
	Logs []LogRequest `json:"logs,omitempty"`
	// Routes of the whole cluster: any node's external port reaches any application.
	Routes []Route `json:"routes"`
	// Recovering: the store may have gone back. Nothing is destroyed on its word.
	Recovering bool `json:"recovering,omitempty"`
	// Nodes of the whole cluster, with the keys that identify them.
	Nodes []Node `json:"nodes"`
	// Removed: an operator has removed this node. The agent sets it itself, when it is refused for that: it
	// stops what runs here, closes what is open, and takes nothing away.
	Removed bool `json:"removed,omitempty"`
	// Keys are those of the users who may read volumes.
	Keys []UserKey `json:"keys,omitempty"`
}

// An OwnedVolume is a volume with the record that lets this node write it.
type OwnedVolume struct {
	Volume    Volume    `json:"volume"`
	Ownership Ownership `json:"ownership"`
	// Application uses the volume, whether or not it shall run.
	Application AppName `json:"application,omitempty"`
}

// A ForeignVolume is a volume that another node owns: the record of its owner, and what this node
// must know of it for its own copy.
type ForeignVolume struct {
	Ownership
	Name        string  `json:"name,omitempty"`
	Application AppName `json:"application,omitempty"`
	// Unwanted are the snapshots of this node's copy that users kept and no longer want.
	Unwanted []SnapshotName `json:"unwanted,omitempty"`
}

// An Arrival is what a target must know to get ready for a move.
type Arrival struct {
	Move        MoveID       `json:"move"`
	Volume      Volume       `json:"volume"`
	Application *Application `json:"application,omitempty"`
	// NeedBytes is what the owner's copy takes up.
	NeedBytes int64 `json:"need_bytes"`
	// FromBackend is the backend of the owner.
	FromBackend string `json:"from_backend"`
	// From is, for an application without a volume, the node on which it runs until it does here. Then
	// there is no move.
	From NodeID `json:"from,omitempty"`
}

// A Drain is an application without a volume that runs on a node until it does on another one.
type Drain struct {
	Application AppName `json:"application"`
	To          NodeID  `json:"to"`
}

// Due returns the revision of what the node is asked to do: who acts on that has done it all.
func (s Assignment) Due() Revision { return cmp.Or(s.Own, s.Revision) }

// Position returns where a node stands that has been given it.
func (s Assignment) Position() Position { return Position{s.Life, s.Revision} }

// Part returns the node's own part.
func (s Assignment) Part() Assignment {
	s.Revision, s.Own = s.Due(), 0
	s.Routes, s.Nodes, s.Keys = nil, nil, nil
	return s
}

// User returns the application that shall run here on a volume, or the zero value.
func (s Assignment) User(id VolumeID) Application {
	for _, a := range s.Applications {
		if a.Volume != nil && a.Volume.Volume == id {
			return a
		}
	}
	return Application{}
}

// VolumeNames returns what the volumes of which this node has a copy, or will get one, are called.
func (s Assignment) VolumeNames() map[VolumeID]string {
	names := map[VolumeID]string{}
	for _, v := range s.Owners {
		names[v.Volume] = v.Name
	}
	for _, v := range s.Volumes {
		names[v.Volume.ID] = v.Volume.Name
	}
	for _, a := range s.Arriving {
		if a.From == "" {
			names[a.Volume.ID] = a.Volume.Name
		}
	}
	return names
}

// Peer returns the node with that id.
func (s Assignment) Peer(id NodeID) (Node, bool) {
	for _, n := range s.Nodes {
		if n.ID == id {
			return n, true
		}
	}
	return Node{}, false
}
