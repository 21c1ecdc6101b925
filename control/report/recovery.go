package report

import (
	"fmt"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// Recovery says why the store is known to have gone back, and what follows from accepting it.
func Recovery(v view.View) wire.Recovery {
	r, recovering := v.Model.Recoveries.Get("store")
	out := wire.Recovery{Recovering: recovering, Noticed: r.Noticed, Why: r.Why, Consequences: []string{}}
	add := func(format string, args ...any) {
		out.Consequences = append(out.Consequences, fmt.Sprintf(format, args...))
	}
	for _, node := range v.Absent() {
		if recovering {
			add("node %s: has not said yet what it has: it is waited for, or named as gone for good", v.Model.Node(node))
		}
	}
	for volume := range v.Model.Volumes.All() {
		name := records.Name(volume)
		o, owned := v.Model.Ownerships.Get(volume.ID)
		if !owned {
			o = cluster.Ownership{Volume: volume.ID} // it may have had one since
		}
		later, above := v.Above(o)
		above = above && !volume.Deleted
		switch {
		case above && later.Owner == view.Somebody:
			add("volume %s: stays as it is: there is a copy of epoch %d, and which node owns it is not known", name, later.Epoch)
			continue
		case above:
			alone := ""
			if _, counts := v.Owner(o); !counts && owned {
				alone = ", which nobody else has seen"
			}
			add("volume %s: %s is its owner, at epoch %d%s", name, v.Model.Node(later.Owner), later.Epoch, alone)
		}
		copies := v.Copies(volume.ID)
		if !recovering {
			continue
		}
		for _, node := range records.Sorted(copies) {
			if volume.Deleted {
				add("volume %s: is deleted: its copy on %s goes into the trash there", name, v.Model.Node(node))
			}
		}
		kept := func(s cluster.Snapshot) bool { return s.Kept && !slices.Contains(volume.SnapshotNames(), s.Name) }
		for _, node := range records.Sorted(copies) {
			for _, s := range copies[node].Snapshots {
				if kept(s) && !volume.Deleted {
					add("volume %s: snapshot %s, which is not on record, is kept on %s", name, s.Name, v.Model.Node(node))
				}
			}
		}
		if volume.Rollback.Due(o, copies[o.Owner].Rollback) {
			add("volume %s: does not go back to snapshot %s, which was asked for earlier", name, volume.Rollback.Snapshot)
		}
	}
	return out
}
