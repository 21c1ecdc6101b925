package rules

import (
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// Configure makes next the configuration, and completes it: volumes that next does not list are kept,
// and only one that is marked as deleted goes away. What is wrong with next is listed whole, as
// cluster.Problems.
func (w *Write) Configure(next cluster.Configuration) error {
	for id, v := range w.Volumes.Each() {
		if _, listed := next.Volumes[id]; !listed {
			next.Volumes[id] = v
		}
	}
	if err := w.problems(next).Err(); err != nil {
		return err
	}
	w.configure(next)
	return nil
}

// configure writes what differs between the configuration and next.
func (w *Write) configure(next cluster.Configuration) {
	for a := range w.Applications.All() {
		if _, kept := next.Applications[a.Name]; !kept {
			w.dropApplication(a)
		}
	}
	for _, name := range records.Sorted(next.Applications) {
		w.putApplication(next.Applications[name])
	}
	for _, v := range next.Volumes {
		w.SetVolume(v)
	}
	for l := range w.Leases.All() {
		if _, kept := next.Leases[l.Volume]; !kept {
			w.dropLease(l.Volume)
		}
	}
	for _, l := range next.Leases {
		l.Expires = inUTC(l.Expires)
		w.putLease(l)
	}
	if w.ChangesConfiguration() {
		w.Tell(cluster.Event{Kind: "configured", Message: fmt.Sprintf("the configuration was changed: %s, %s, %s",
			cluster.Count(len(w.Applications.Changed()), "application"), cluster.Count(len(w.Volumes.Changed()), "volume"),
			cluster.Count(len(w.Leases.Changed()), "lease"))})
	}
}

// problems returns all that is wrong with a configuration, in itself and with these nodes.
func (w *Write) problems(next cluster.Configuration) cluster.Problems {
	p := next.Validate()
	unknown := func(path string, node, was cluster.NodeID) {
		n, known := w.Nodes.Get(node)
		_, removed := w.Removed.Get(node)
		switch {
		case node == "" || removed && node == was: // what was there stays on record
		case !known:
			p = append(p, cluster.Problem{Path: path, Message: fmt.Sprintf("no node %q has registered; the nodes are: %s", node, records.List(w.NodeNames()))})
		case n.RoutesOnly:
			p = append(p, cluster.Problem{Path: path, Message: fmt.Sprintf("node %s only routes: it runs no applications and keeps no volumes", n.Name)})
		}
	}
	for _, name := range records.Sorted(next.Applications) {
		was, _ := w.Applications.Get(name)
		unknown(fmt.Sprintf("applications.%s.node", name), next.Applications[name].Node, was.Node)
		p = append(p, w.strandedProblem(next.Applications[name])...)
	}
	for _, id := range records.Sorted(next.Volumes) {
		v := next.Volumes[id]
		was, _ := w.Volumes.Get(id)
		if v.Name != was.Name && v.Name != string(id) && cluster.IsUUID(v.Name) {
			p = append(p, cluster.Problem{Path: fmt.Sprintf("volumes.%s.name", id), Message: fmt.Sprintf("a volume cannot be named like an id: %s", v.Name)})
		}
		if !v.Deleted {
			unknown(fmt.Sprintf("volumes.%s.primary", id), v.Primary, was.Primary)
		}
	}
	for _, id := range records.Sorted(next.Leases) {
		l, path := next.Leases[id], fmt.Sprintf("leases.%s", id)
		if v, ok := next.Volumes[id]; !ok || v.Deleted || l.Volume != id {
			p = append(p, cluster.Problem{Path: path, Message: fmt.Sprintf("no such volume: %s", l.Volume)})
		}
		unknown(path+".node", l.Node, "")
	}
	return p
}

// inUTC returns the same instant as it is written down; zero stays zero.
func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Round(0)
}
