package dockervolume

import (
	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// detail adds to what people see of a volume what only the control service knows.
func detail(status map[string]any, v wire.VolumeStatus) {
	status["owner"], status["epoch"], status["size"] = v.Names[v.Ownership.Owner], v.Ownership.Epoch, v.Volume.MaximumSize
	if len(v.Volume.Metadata) > 0 {
		status["labels"] = v.Volume.Metadata
	}
	if v.Application != "" {
		status["application"] = v.Application
	}
	replicas := map[string]cluster.SnapshotName{} // how far each has come
	for _, held := range v.Copies {
		if held.Node != v.Ownership.Owner {
			replicas[v.Names[held.Node]] = newest(held.Copy.Snapshots)
			continue
		}
		status["used"], status["snapshots"] = held.Copy.UsedBytes, asked(held.Copy.Snapshots)
		if len(held.Copy.Users) > 0 {
			status["users"] = held.Copy.Users
		}
		if held.Copy.Warning != "" {
			status["warning"] = held.Copy.Warning
		}
	}
	status["replicas"] = replicas
	if v.Move != nil {
		status["moving"] = map[string]any{"to": v.Names[v.Move.To], "phase": v.Move.Phase, "reason": v.Move.Reason}
	}
}

func newest(snapshots []cluster.Snapshot) cluster.SnapshotName {
	if len(snapshots) == 0 {
		return ""
	}
	return snapshots[len(snapshots)-1].Name
}

// asked returns the snapshots that users asked for.
func asked(snapshots []cluster.Snapshot) []cluster.SnapshotName {
	names := []cluster.SnapshotName{}
	for _, s := range snapshots {
		if s.Kept {
			names = append(names, s.Name)
		}
	}
	return names
}
