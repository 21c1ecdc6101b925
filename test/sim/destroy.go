package sim

import (
	"context"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Nothing is destroyed unless somebody asked for it: here is what operators have asked for, and what may
// therefore be done on disks. It is noted when it is asked for, whatever comes of that.

// trashGrace is how long agents keep what they removed. No run lasts so long.
const trashGrace = 7 * 24 * time.Hour

// An intent is what operators have asked for with a volume that takes something away.
type intent struct {
	snapshots []cluster.SnapshotName        // that they had made
	unwanted  map[cluster.SnapshotName]bool // of which they need no more
	deleted   bool                          // they have deleted it, once
	wentBack  map[string]bool               // the wishes to go back that were fulfilled
	takeovers map[cluster.Epoch]bool        // from which on a replica is the volume
	accepted  bool                          // they have accepted that the store went back
	lost      bool                          // its files were removed on a host
}

func newIntent() intent {
	return intent{unwanted: map[cluster.SnapshotName]bool{}, wentBack: map[string]bool{}, takeovers: map[cluster.Epoch]bool{}}
}

// register returns the one whose volume that is; nil for another one.
func (w *world) register(id cluster.VolumeID) *register {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, app := range w.apps {
		if app.volume == id {
			return app
		}
	}
	return nil
}

// intend notes what somebody asks for.
func (r *register) intend(note func(*intent)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	note(&r.intent)
}

// intended returns what operators have asked for; nothing with a volume that is no register's.
func (w *world) intended(id cluster.VolumeID, look func(*intent) bool) bool {
	r := w.register(id)
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return look(&r.intent)
}

func (w *world) mayDrop(h *host, id cluster.VolumeID, name cluster.SnapshotName) {
	c, _ := volume.Find(context.Background(), h.disk, id)
	kept := slices.ContainsFunc(c.Snapshots, func(s cluster.Snapshot) bool { return s.Name == name && s.Kept })
	given := func(i *intent) bool { return i.unwanted[name] || i.accepted && i.deleted } // what is in the trash is not on record
	if kept && !w.intended(id, given) {
		w.breached("nothing is destroyed that nobody gave up: %s drops snapshot %s, which a user keeps", h.name, name)
	}
}

func (w *world) mayRemove(h *host, id cluster.VolumeID) {
	if h.holds(id) && !w.intended(id, func(i *intent) bool { return i.deleted }) {
		w.breached("nothing is destroyed that nobody gave up: %s removes its copy of %s, which was never deleted", h.name, short(id))
	}
}

// mayCreate checks that nothing is created empty in place of what may exist.
func (w *world) mayCreate(h *host, id cluster.VolumeID) {
	for _, other := range w.all() {
		trash, _ := other.disk.Trash(context.Background())
		thrown := slices.ContainsFunc(trash, func(c volume.Copy) bool { return c.Volume == id })
		if (other.holds(id) || thrown) && !w.intended(id, func(i *intent) bool { return i.accepted }) {
			w.breached("nothing is created empty in place of what exists: %s creates volume %s, of which %s has a copy", h.name, short(id), other.name)
		}
	}
}

// wentBack takes in that a copy has become what a snapshot holds.
func (w *world) wentBack(h *host, was volume.Copy, to cluster.SnapshotName, wish string) {
	at := slices.IndexFunc(was.Snapshots, func(s cluster.Snapshot) bool { return s.Name == to })
	for _, later := range was.Snapshots[at+1:] {
		if later.Kept && !w.intended(was.Volume, func(i *intent) bool { return i.unwanted[later.Name] }) {
			w.breached("nothing is destroyed that nobody gave up: to go back to %s %s drops snapshot %s, which a user keeps", to, h.name, later.Name)
		}
	}
	if w.intended(was.Volume, func(i *intent) bool { done := i.wentBack[wish]; i.wentBack[wish] = true; return done }) && w.register(was.Volume) != nil {
		w.breached("a wish is fulfilled once: %s goes back to snapshot %s once more", h.name, to)
	}
	w.becomes(h, was.Volume)
}

// begins takes in that a host goes on from its replica.
func (w *world) begins(h *host, id cluster.VolumeID, epoch cluster.Epoch) {
	if w.intended(id, func(i *intent) bool { is := i.takeovers[epoch]; delete(i.takeovers, epoch); return is }) {
		w.becomes(h, id)
	}
}

// becomes takes in that by the word of an operator the register holds what its volume holds there.
func (w *world) becomes(h *host, id cluster.VolumeID) {
	r := w.register(id)
	content, err := h.disk.Read(id)
	if r == nil || err != nil {
		return
	}
	now := time.Since(w.began).Nanoseconds()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		r.history = append(r.history, porcupine.Operation{ClientId: 101, Input: query{key: key, write: string(content[key]), becomes: true},
			Call: now, Output: answer{}, Return: now + 1})
	}
}
