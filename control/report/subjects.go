package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// Missing says what is missing of some subjects, of everything if there are none. An application is missing what it
// lacks itself, its volume, its nodes, and the nodes whose proxies do not act on its routes yet: those are of the
// revision that routed tells.
func Missing(v view.View, told func(cluster.NodeID) Told, of wire.Subjects, routed func(cluster.Application) cluster.Revision) (wire.Missing, error) {
	if of.All() {
		return pending(v, told), nil
	}
	own := func(id cluster.NodeID) Told { // routes of others are nobody's business here
		told := told(id)
		told.Shared = 0
		return told
	}
	s := &subjects{list: newList(v, own), routes: map[cluster.AppName]cluster.Revision{}, named: records.Set[cluster.AppName]{},
		nodes: records.Set[cluster.NodeID]{}, volumes: records.Set[cluster.VolumeID]{}}
	for _, name := range of.Applications {
		s.app(name, routed)
	}
	for _, name := range of.Volumes {
		if err := s.volumeNamed(name); err != nil {
			return wire.Missing{}, err
		}
	}
	for _, name := range of.Nodes {
		if err := s.nodeNamed(name); err != nil {
			return wire.Missing{}, err
		}
	}
	s.everywhere()
	for _, id := range records.Sorted(s.volumes) {
		volume, _ := v.Model.Volumes.Get(id)
		s.volume(volume)
	}
	for _, id := range records.Sorted(s.nodes) {
		if node, known := v.Model.Nodes.Get(id); known {
			s.node(node)
		}
	}
	return s.missing(), nil
}

// subjects are what is looked at for those that were asked for.
type subjects struct {
	*list
	named   records.Set[cluster.AppName]
	routes  map[cluster.AppName]cluster.Revision
	nodes   records.Set[cluster.NodeID]
	volumes records.Set[cluster.VolumeID]
}

func (s *subjects) app(name cluster.AppName, routed func(cluster.Application) cluster.Revision) {
	s.named[name] = struct{}{}
	app, configured := s.Model.Applications.Get(name)
	if !configured {
		return
	}
	s.application(app)
	s.routes[name] = routed(app)
	s.nodes[app.Node] = struct{}{}
	if on, err := s.Model.RunsOn(name); err == nil {
		s.nodes[on] = struct{}{}
	}
	if app.Volume != nil {
		s.volumes[app.Volume.Volume] = struct{}{}
	}
}

func (s *subjects) volumeNamed(nameOrID string) error {
	v, ok := s.Model.VolumeNamed(nameOrID)
	if !ok {
		v, ok = s.Model.DeletedNamed(nameOrID)
	}
	if !ok {
		return s.Model.NoVolume(nameOrID)
	}
	s.volumes[v.ID] = struct{}{}
	return nil
}

// nodeNamed takes in a node. Of one that was removed nothing is missing.
func (s *subjects) nodeNamed(nameOrID string) error {
	if _, known := s.Model.Nodes.Get(cluster.NodeID(nameOrID)); known {
		s.nodes[cluster.NodeID(nameOrID)] = struct{}{}
		return nil
	}
	for id, n := range s.Model.Nodes.Each() {
		if n.Name == nameOrID {
			s.nodes[id] = struct{}{}
			return nil
		}
	}
	if _, removed := s.Model.RemovedNamed(nameOrID); removed {
		return nil
	}
	return fmt.Errorf("%w; the nodes are: %s", records.NotFound("node", nameOrID), records.List(s.Model.NodeNames()))
}

// everywhere takes in the nodes that still run an application, and says which do not act on its routes yet.
func (s *subjects) everywhere() {
	behind := map[cluster.AppName][]string{}
	for id, n := range s.Seen.Nodes.All() {
		state := s.State(id)
		if state == nil {
			continue
		}
		for _, a := range state.Applications {
			if _, named := s.named[a.Name]; named && a.Running {
				s.nodes[id] = struct{}{}
			}
		}
		acts := max(state.Seen, n.Acknowledged)
		for name, revision := range s.routes {
			if acts < revision {
				behind[name] = append(behind[name], s.Model.Node(id))
			}
		}
	}
	for _, name := range records.Sorted(behind) {
		s.add("%s: its routes are not in force yet on %s", name, some(behind[name]))
	}
}

// some names a few, and counts the others.
func some(names []string) string {
	const most = 3
	slices.Sort(names)
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
