package rules

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/wire"
)

// DeleteVolume marks a volume, named or by id, as deleted: its copies go into the trash of their
// nodes.
func (w *Write) DeleteVolume(nameOrID string) (cluster.Volume, error) {
	return w.changeVolume(nameOrID, func(v *cluster.Volume) error {
		v.Deleted = true
		return w.busy(*v, true)
	})
}

// UndeleteVolume brings a deleted volume back: the one of that id, or the one of that name that was
// deleted last.
func (w *Write) UndeleteVolume(nameOrID string) (cluster.Volume, error) {
	v, err := w.deletedVolume(nameOrID)
	if err != nil {
		return v, err
	}
	if other, taken := w.VolumeNamed(v.Name); taken && v.Name != "" {
		err := fmt.Errorf("%w: volume %s has the name %s now", cluster.ErrExists, other.ID, v.Name)
		if app, used := w.User(other.ID); used {
			err = fmt.Errorf("%w, and application %s uses it", err, app.Name)
		}
		return v, err
	}
	v.Deleted = false
	if err := w.canComeBack(v); err != nil {
		return v, err
	}
	w.SetVolume(v)
	return v, nil
}

// canComeBack refuses to bring back what its owner says is gone. An owner that says nothing may have it.
func (w *Write) canComeBack(v cluster.Volume) error {
	o, owned := w.Ownerships.Get(v.ID)
	if !owned || !o.Created || !w.View.Emptied(o) {
		return nil // what was never made is made then
	}
	owner, _ := w.Nodes.Get(o.Owner)
	if w.View.Unreadable(o) {
		err := fmt.Errorf("%w: its copy is in the trash of %s and cannot be used: its record cannot be read, or its data is not what it was", cluster.ErrRefused, w.Node(o.Owner))
		return cluster.WithHint(err, cmp.Or(w.elsewhere(o), "the agent's log there says why, and the directory of that copy in its trash what is left"))
	}
	why := "somebody has emptied it since"
	if end := v.DeletedAt.Add(owner.TrashGrace); owner.TrashGrace > 0 && !v.DeletedAt.IsZero() && !w.View.Wall.Before(end) {
		why = fmt.Sprintf("it was kept there until %s", end.UTC().Format(time.DateTime+" MST"))
	}
	err := fmt.Errorf("%w: it was deleted at %s, and its copy is no longer in the trash of %s: %s",
		cluster.ErrRefused, v.DeletedAt.UTC().Format(time.DateTime+" MST"), w.Node(o.Owner), why)
	return cluster.WithHint(err, cmp.Or(w.elsewhere(o), "make a new one with: drover volume create "+records.Name(v)))
}

// elsewhere says which nodes, other than its owner, say that they have a copy of a deleted volume in their
// trash; empty if none does. Nobody knows whether the owner had gone on from there.
func (w *Write) elsewhere(o cluster.Ownership) string {
	var on []string
	for n := range w.Nodes.All() {
		state := w.View.State(n.ID)
		if state == nil || n.ID == o.Owner {
			continue
		}
		found := ""
		for _, r := range state.TrashReplicas {
			switch {
			case r.Volume != o.Volume:
			case r.Head != "" && r.Head == o.Base:
				found = w.Node(n.ID) + ", at the snapshot that its owner started from"
			default:
				found = cmp.Or(found, w.Node(n.ID)+", of another time")
			}
		}
		if found != "" {
			on = append(on, found)
		}
	}
	if len(on) == 0 {
		return ""
	}
	return fmt.Sprintf("a copy is in the trash of %s: its data can be copied from there into a new volume (id %s)", strings.Join(on, "; of "), o.Volume)
}

func (w *Write) deletedVolume(nameOrID string) (cluster.Volume, error) {
	found, deleted := w.DeletedNamed(nameOrID)
	if deleted {
		return found, nil
	}
	if v, ok := w.VolumeNamed(nameOrID); ok {
		return v, fmt.Errorf("%w: volume %s is not deleted", cluster.ErrConflict, records.Name(v))
	}
	return found, fmt.Errorf("%w among the deleted ones", records.NotFound("volume", nameOrID))
}

// ResizeVolume gives a volume another size limit; zero is none.
func (w *Write) ResizeVolume(nameOrID string, r wire.ResizeRequest) (cluster.Volume, error) {
	return w.changeVolume(nameOrID, func(v *cluster.Volume) error {
		o, _ := w.Ownerships.Get(v.ID)
		used := w.View.Copies(v.ID)[o.Owner].UsedBytes
		switch {
		case r.MaximumSize < 0:
			return fmt.Errorf("%w: a limit of %s: want more than zero, or zero for none", cluster.ErrInvalid, cluster.Count(r.MaximumSize, "byte"))
		case r.MaximumSize > 0 && r.MaximumSize < used:
			return fmt.Errorf("%w: it uses %s on %s, and %s would be less", cluster.ErrRefused, size(used), w.Node(o.Owner), size(r.MaximumSize))
		}
		v.MaximumSize = r.MaximumSize
		return nil
	})
}

// signed returns a volume with when it was deleted, and by whom, and tells of it if that is now.
func (w *Write) signed(v, was cluster.Volume) cluster.Volume {
	switch {
	case !v.Deleted:
		v.DeletedAt, v.DeletedBy = time.Time{}, ""
	case was.Deleted:
		v.DeletedAt, v.DeletedBy = was.DeletedAt, was.DeletedBy
	default:
		v.DeletedAt, v.DeletedBy = w.View.Wall, w.caller()
	}
	if v.Deleted != was.Deleted {
		kind, what := "undeleted", "was brought back"
		if v.Deleted {
			kind, what = "deleted", "was deleted"
		}
		w.Tell(cluster.Event{Volume: v.ID, Node: w.By.Node, Kind: kind,
			Message: fmt.Sprintf("volume %s %s%s", records.Name(v), what, by(w.caller()))})
	}
	return v
}
