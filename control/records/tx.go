package records

import "github.com/drover/drover/cluster"

// A Tx is one write in the making: the tables of a model with changes.
type Tx struct {
	*Nouns
	// Guards are records that the write depends on though it does not change them.
	Guards Guards

	// Head is the revision of the configuration, once the write is made.
	Head cluster.Revision

	model  *Model
	events []cluster.Event

	users  map[cluster.VolumeID]cluster.AppName // of applications in this write
	opened map[cluster.VolumeID]cluster.MoveID  // moves that this write changed
}

// Begin returns a write without changes.
func (m *Model) Begin() *Tx {
	tx := &Tx{Nouns: newNouns(), Guards: Guards{}, model: m,
		users: map[cluster.VolumeID]cluster.AppName{}, opened: map[cluster.VolumeID]cluster.MoveID{}}
	for i, t := range tx.list {
		t.over(m.list[i])
	}
	return tx
}

// PutApplication sets an application and reports whether it differs from what was there.
func (tx *Tx) PutApplication(a cluster.Application) bool {
	if a.Volume != nil {
		tx.users[a.Volume.Volume] = a.Name
	}
	return tx.Applications.Put(a)
}

// PutMove sets a move and reports whether it differs from what was there. What the rules of moves
// look at must not have changed meanwhile.
func (tx *Tx) PutMove(m cluster.Move) bool {
	tx.opened[m.Volume] = m.ID
	if !tx.Moves.Put(m) {
		return false
	}
	Guard(tx.Guards, tx.Volumes, m.Volume)
	Guard(tx.Guards, tx.Ownerships, m.Volume)
	Guard(tx.Guards, tx.Leases, m.Volume)
	return true
}

// PutOwnership sets an ownership and reports whether it differs from what was there. The wish for
// the volume must not have changed meanwhile.
func (tx *Tx) PutOwnership(o cluster.Ownership) bool {
	if !tx.Ownerships.Put(o) {
		return false
	}
	Guard(tx.Guards, tx.Volumes, o.Volume)
	return true
}

// User returns the application that uses a volume.
func (tx *Tx) User(id cluster.VolumeID) (cluster.Application, bool) {
	for _, name := range []cluster.AppName{tx.users[id], tx.model.Index.Users.At(id)} {
		if a, ok := tx.Applications.Get(name); ok && a.Volume != nil && a.Volume.Volume == id {
			return a, true
		}
	}
	return cluster.Application{}, false
}

// OpenMove returns the move of a volume that has not ended.
func (tx *Tx) OpenMove(id cluster.VolumeID) (cluster.Move, bool) {
	for _, open := range []cluster.MoveID{tx.opened[id], tx.model.Index.Open.At(id)} {
		if m, ok := tx.Moves.Get(open); ok && !m.Phase.Ended() {
			return m, true
		}
	}
	return cluster.Move{}, false
}

// ChangesConfiguration reports whether the write changes anything that users wrote.
func (tx *Tx) ChangesConfiguration() bool {
	return len(tx.Applications.changes)+len(tx.Volumes.changes)+len(tx.Leases.changes) > 0
}

// ChangesEveryone reports whether the write changes what is part of every assignment.
func (tx *Tx) ChangesEveryone() bool {
	return len(tx.Routes.changes)+len(tx.Nodes.changes)+len(tx.Keys.changes) > 0
}

// Outcome returns the model with the write, which is in the store at that revision; that which the write
// lies over stays as it is. The Tx is then over, but for what it says of its changes.
func (tx *Tx) Outcome(revision cluster.Revision) *Model {
	m := tx.model
	if revision != m.Revision { // else there was nothing to write
		m = m.clone()
		if tx.ChangesConfiguration() {
			m.Head = revision
		}
		m.Revision = revision
		for i, t := range tx.list {
			t.apply(m.list[i], &m.Index, revision)
		}
		tx.addEvents(m)
	}
	tx.Head = m.Head
	return m
}
