package deploy

import (
	"cmp"
	"maps"
	"slices"

	"github.com/drover/drover/cluster"
)

func diffApplications(current, next cluster.Configuration) []Change {
	names := maps.Clone(current.Applications)
	if names == nil {
		names = map[cluster.AppName]cluster.Application{}
	}
	maps.Copy(names, next.Applications)
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, was := current.Applications[name]
		app, is := next.Applications[name]
		switch {
		case !was:
			changes = append(changes, Change{Kind: ApplicationAdded, Application: name, To: app.Node})
		case !is:
			changes = append(changes, Change{Kind: ApplicationRemoved, Application: name, From: old.Node})
		default:
			changes = append(changes, diffApplication(old, app, next)...)
		}
	}
	return changes
}

func diffApplication(old, app cluster.Application, next cluster.Configuration) []Change {
	var changes []Change
	if fields := changedFields(old, app); len(fields) > 0 {
		changes = append(changes, Change{Kind: ApplicationChanged, Application: app.Name, Fields: fields})
	}
	if old.Node != app.Node {
		move := Change{Kind: ApplicationMoved, Application: app.Name, From: old.Node, To: app.Node}
		if carries(old, app) {
			move.Volume = app.Volume.Volume
			move.VolumeName = next.Volumes[move.Volume].Name
		}
		changes = append(changes, move)
	}
	return changes
}

// carries reports whether the volume of an application goes with it from node to node.
func carries(old, app cluster.Application) bool {
	return old.Volume != nil && app.Volume != nil && old.Volume.Volume == app.Volume.Volume && old.Node != "" && app.Node != ""
}

func changedFields(a, b cluster.Application) []string {
	av, bv := attachment(a), attachment(b)
	ah, bh := health(a), health(b)
	var fields []string
	for _, f := range []struct {
		key  string
		same bool
	}{
		{"image", a.Image == b.Image},
		{"command_line", slices.Equal(a.Command, b.Command)},
		{"ports", slices.Equal(a.Ports, b.Ports)},
		{"links", slices.Equal(a.Links, b.Links)},
		{"environment", maps.Equal(a.Environment, b.Environment)},
		{"volume.dataset_id", av.Volume == bv.Volume},
		{"volume.mountpoint", av.Mountpoint == bv.Mountpoint},
		{"mem_limit", a.Limits.MemoryBytes == b.Limits.MemoryBytes},
		{"cpu_shares", a.Limits.CPUShares == b.Limits.CPUShares},
		{"swappiness", a.Limits.Swappiness == b.Limits.Swappiness},
		{"restart_policy", restart(a) == restart(b)},
		{"stop_signal", a.Stop.Signal == b.Stop.Signal},
		{"stop_timeout", a.Stop.Timeout == b.Stop.Timeout},
		{"before_stop", slices.Equal(a.Stop.Before, b.Stop.Before)},
		{"user", a.User == b.User},
		{"scratch", slices.Equal(a.Scratch, b.Scratch)},
		{"health.command", slices.Equal(ah.Command, bh.Command)},
		{"health.interval", ah.Interval == bh.Interval},
		{"health.timeout", ah.Timeout == bh.Timeout},
	} {
		if !f.same {
			fields = append(fields, f.key)
		}
	}
	return fields
}

func attachment(a cluster.Application) cluster.Attachment {
	if a.Volume == nil {
		return cluster.Attachment{}
	}
	return *a.Volume
}

func health(a cluster.Application) cluster.HealthCheck {
	if a.Health == nil {
		return cluster.HealthCheck{}
	}
	return *a.Health
}

// restart returns the policy with its default written out.
func restart(a cluster.Application) cluster.RestartPolicy {
	a.Restart.Name = cmp.Or(a.Restart.Name, cluster.RestartNever)
	return a.Restart
}
