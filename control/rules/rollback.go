package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/volume"
)

// RollBackVolume asks the owner of a volume to make its content that of a snapshot again. What was
// written after it is lost, and so are later snapshots: without force it is refused if somebody
// counts on one of them. Asked again while that is under way it changes nothing; asked for another
// snapshot it replaces what was asked before.
func (w *Write) RollBackVolume(nameOrID string, r wire.RollbackRequest) (cluster.Volume, error) {
	return w.changeVolume(nameOrID, func(v *cluster.Volume) error { return w.rollBackVolume(v, r) })
}

func (w *Write) rollBackVolume(v *cluster.Volume, r wire.RollbackRequest) error {
	if err := w.unaccepted(); err != nil {
		return err
	}
	o, _ := w.Ownerships.Get(v.ID)
	node, _ := w.Nodes.Get(o.Owner)
	if o.Owner == "" {
		return fmt.Errorf("%w: it has no owner yet", cluster.ErrConflict)
	}
	if err := able(node, cluster.AbilityRollback); err != nil {
		return err // before who uses it: nobody shall stop an application for that
	}
	if err := w.busy(*v, false); err != nil {
		return err
	}
	if w.rollingBack(*v) && v.Rollback.Snapshot == r.Snapshot {
		return nil
	}
	held, reported := w.View.Copies(v.ID)[o.Owner]
	if !reported {
		return fmt.Errorf("%w: owner %s has not reported its copy", cluster.ErrUnavailable, node.Name)
	}
	at := slices.IndexFunc(held.Snapshots, func(s cluster.Snapshot) bool { return s.Name == r.Snapshot })
	if at < 0 {
		return fmt.Errorf("%w on owner %s; it holds: %s", records.NotFound("snapshot", r.Snapshot), node.Name, records.List(snapshotNames(held.Snapshots)))
	}
	if err := w.unmade(*v, o, held); err != nil {
		return err
	}
	later := held.Snapshots[at+1:]
	if counted := w.countedOn(v.ID, o, held.Snapshots, later); len(counted) > 0 && !r.Force {
		err := fmt.Errorf("%w: later snapshots would go:\n  %s", cluster.ErrRefused, strings.Join(counted, "\n  "))
		return cluster.WithHint(err, "with --force it goes back all the same; a node that loses its base is shipped the whole volume next time")
	}
	forgetRequests(v, snapshotNames(later)...)
	v.Rollback = &cluster.RollbackRequest{ID: w.View.NewID(), Snapshot: r.Snapshot, Epoch: o.Epoch}
	w.Tell(cluster.Event{Volume: v.ID, Node: o.Owner, Kind: "roll back",
		Message: fmt.Sprintf("volume %s is to go back to snapshot %s on %s", records.Name(*v), r.Snapshot, node.Name)})
	return nil
}

// unmade refuses to go back before a snapshot that somebody asked for of the content as it is.
func (w *Write) unmade(v cluster.Volume, o cluster.Ownership, held cluster.Copy) error {
	made := snapshotNames(held.Snapshots)
	for _, wish := range v.Snapshots {
		if wish.Epoch == o.Epoch && !slices.Contains(made, wish.Name) {
			err := fmt.Errorf("%w: snapshot %s was asked for and has not been made yet", cluster.ErrConflict, wish.Name)
			return cluster.WithHint(err, fmt.Sprintf("wait for it, or drop it: drover snapshot rm %s %s", records.Name(v), wish.Name))
		}
	}
	return nil
}

// countedOn says of each of the later snapshots that a user keeps it, or which nodes need it as the
// base of what is shipped to them next.
func (w *Write) countedOn(id cluster.VolumeID, o cluster.Ownership, mine, later []cluster.Snapshot) []string {
	bases := map[string][]string{}
	copies := w.View.Copies(id)
	for _, node := range records.Sorted(copies) {
		if base, ok := volume.Common(mine, copies[node].Snapshots); ok && node != o.Owner {
			bases[base.GUID] = append(bases[base.GUID], w.Node(node))
		}
	}
	var out []string
	for _, s := range later {
		var why []string
		if s.Kept {
			why = append(why, "a user asked for it")
		}
		if nodes := bases[s.GUID]; len(nodes) > 0 {
			why = append(why, "it is the base for "+strings.Join(nodes, ", "))
		}
		if len(why) > 0 {
			out = append(out, fmt.Sprintf("%s, of %s: %s", s.Name, s.Created.UTC().Format(time.RFC3339), strings.Join(why, "; ")))
		}
	}
	return out
}

// rollingBack reports whether the owner of a volume has yet to go back to a snapshot.
func (w *Write) rollingBack(v cluster.Volume) bool {
	o, _ := w.Ownerships.Get(v.ID)
	return v.Rollback.Due(o, w.View.Copies(v.ID)[o.Owner].Rollback)
}

func snapshotNames(snapshots []cluster.Snapshot) []cluster.SnapshotName {
	var names []cluster.SnapshotName
	for _, s := range snapshots {
		names = append(names, s.Name)
	}
	return names
}
