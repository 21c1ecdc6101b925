package deploy

import (
	"cmp"
	"maps"
	"slices"

	"github.com/drover/drover/cluster"
)

func diffVolumes(current, next cluster.Configuration) []Change {
	oldUsers, users := volumeUsers(current), volumeUsers(next)
	volumes := slices.SortedFunc(maps.Values(next.Volumes), func(a, b cluster.Volume) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	var changes []Change
	for _, v := range volumes {
		if old, was := current.Volumes[v.ID]; was {
			changes = append(changes, diffVolume(old, v, oldUsers[v.ID], users[v.ID])...)
			continue
		}
		changes = append(changes, Change{Kind: VolumeCreated, Volume: v.ID, VolumeName: v.Name,
			Application: users[v.ID].Name, To: v.Primary, ToBytes: v.MaximumSize})
	}
	return changes
}

// diffVolume compares a volume and its users, whose names are empty if there are none.
func diffVolume(old, v cluster.Volume, oldUser, user cluster.Application) []Change {
	var changes []Change
	add := func(c Change) {
		c.Volume, c.VolumeName = v.ID, v.Name
		changes = append(changes, c)
	}
	if oldUser.Name != user.Name && oldUser.Name != "" {
		add(Change{Kind: VolumeUnattached, Application: oldUser.Name, To: v.Primary})
	}
	if oldUser.Name != user.Name && user.Name != "" {
		add(Change{Kind: VolumeAttached, Application: user.Name, To: v.Primary})
	}
	if together := oldUser.Name == user.Name && carries(oldUser, user); old.Primary != v.Primary && !together {
		add(Change{Kind: VolumeMoved, From: old.Primary, To: v.Primary})
	}
	if old.MaximumSize != v.MaximumSize {
		add(Change{Kind: VolumeResized, FromBytes: old.MaximumSize, ToBytes: v.MaximumSize})
	}
	return changes
}

// volumeUsers returns the application of each volume that is used.
func volumeUsers(c cluster.Configuration) map[cluster.VolumeID]cluster.Application {
	users := map[cluster.VolumeID]cluster.Application{}
	for _, app := range c.Applications {
		if app.Volume != nil {
			users[app.Volume.Volume] = app
		}
	}
	return users
}
