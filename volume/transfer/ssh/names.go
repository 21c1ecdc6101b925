package ssh

import "github.com/drover/drover/cluster"

// volumeNames are what the volumes of this node are called.
type volumeNames map[cluster.VolumeID]string

func (s *Server) names() volumeNames {
	if s.Names == nil {
		return nil
	}
	return s.Names()
}

// resolve is a resolver. What looks like an id is one: nodes use ids, also for volumes of which this
// node has never heard.
func (n volumeNames) resolve(nameOrID string) (cluster.VolumeID, bool) {
	if cluster.IsUUID(nameOrID) {
		return cluster.VolumeID(nameOrID), true
	}
	for id, name := range n {
		if name == nameOrID && name != "" {
			return id, true
		}
	}
	return "", false
}

// shown is what a volume is listed as: by its name if that leads to it.
func (n volumeNames) shown(id cluster.VolumeID) string {
	if name := n[id]; cluster.ValidName(name) && !cluster.IsUUID(name) {
		return name
	}
	return string(id)
}
