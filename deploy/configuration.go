package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drover/drover/cluster"
)

// Configuration returns what the cluster's configuration becomes when the files are deployed over
// the current one. Nodes are those that are known, whether or not they are up.
//
// The applications are replaced by those of the file; one that no node names is defined but runs
// nowhere. A volume is put where its application is placed, and takes the size of the file. No
// volume is dropped: one whose application left the file stays where it is with its data, and so
// does that of an application that runs nowhere. Leases stay.
//
// The current configuration is not changed, and the result shares nothing with it. What stands
// against it is returned as Errors.
func (f *Files) Configuration(current cluster.Configuration, nodes []cluster.Node) (cluster.Configuration, error) {
	where, unknown := f.resolve(nodes)
	next, clashes := f.merge(current, where)
	clashes = append(clashes, f.strange(current, next, nodes)...)
	wrong := inOrder(append(clashes, f.locate(next.Validate(), clashes)...))
	wrong = append(wrong, inOrder(unknown)...)
	if len(wrong) > 0 {
		return cluster.Configuration{}, wrong
	}
	return next, nil
}

// resolve returns the node of each application that is placed.
func (f *Files) resolve(nodes []cluster.Node) (map[cluster.AppName]cluster.NodeID, Errors) {
	where := map[cluster.AppName]cluster.NodeID{}
	var wrong Errors
	index := newNodeIndex(nodes)
	for _, p := range f.placements {
		id, problem := index.find(p.node)
		if problem != "" {
			wrong = append(wrong, Error{File: p.at.file, Line: p.at.line, Path: p.at.path, Message: problem,
				flocker: fmt.Sprintf("No known node with address %s.", p.node)})
			continue
		}
		for _, name := range p.applications {
			where[name] = id
		}
	}
	return where, wrong
}

// A nodeIndex finds nodes by their ids, addresses and names, in this order.
type nodeIndex struct {
	by  [3]map[string][]cluster.Node
	all string // all of them, for a message
}

func newNodeIndex(nodes []cluster.Node) nodeIndex {
	var x nodeIndex
	for i := range x.by {
		x.by[i] = make(map[string][]cluster.Node, len(nodes))
	}
	for _, n := range nodes {
		for i, word := range []string{string(n.ID), n.Address, n.Name} {
			x.by[i][word] = append(x.by[i][word], n)
		}
	}
	if len(nodes) > 0 {
		x.all = listNodes(nodes, false)
	}
	return x
}

// find returns the node that a word means, or what is wrong with it.
func (x nodeIndex) find(word string) (cluster.NodeID, string) {
	for _, by := range x.by {
		switch found := by[word]; {
		case len(found) == 1:
			return found[0].ID, ""
		case len(found) > 1:
			return "", fmt.Sprintf("%q could be %s: use an id", word, listNodes(found, true))
		}
	}
	if x.all == "" {
		return "", fmt.Sprintf("no node %q: none has joined the cluster yet", word)
	}
	return "", fmt.Sprintf("no node %q: use the address, name or id of one of %s", word, x.all)
}

// mostListed is how many nodes a message lists.
const mostListed = 20

func listNodes(nodes []cluster.Node, ids bool) string {
	var words []string
	for _, n := range nodes {
		word := describe(n)
		if ids {
			word += " " + string(n.ID)
		}
		words = append(words, word)
	}
	slices.Sort(words)
	if more := len(words) - mostListed; more > 0 {
		words = append(words[:mostListed], fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, ", ")
}

// merge returns current with the applications of the file, placed, and their volumes.
func (f *Files) merge(current cluster.Configuration, where map[cluster.AppName]cluster.NodeID) (cluster.Configuration, Errors) {
	next := current.Clone()
	names := volumeNames(next)
	next.Applications = make(map[cluster.AppName]cluster.Application, len(f.definitions))
	var clashes Errors
	for _, d := range f.definitions {
		app := d.application.Clone()
		app.Node = where[app.Name]
		next.Applications[app.Name] = app
		if app.Volume == nil {
			continue
		}
		v, problem := volumeFor(next, names, app, d.volume)
		if problem != "" {
			clashes = append(clashes, f.errorAt("applications."+string(app.Name)+".volume", problem))
			continue
		}
		v.MaximumSize = d.volume.maximumSize
		if app.Node != "" {
			v.Primary = app.Node
		}
		next.Volumes[v.ID] = v
	}
	return next, clashes
}

// strange returns the options of new volumes that mean nothing on the nodes that are to make them.
func (f *Files) strange(current, next cluster.Configuration, nodes []cluster.Node) Errors {
	var wrong Errors
	byID := make(map[cluster.NodeID]cluster.Node, len(nodes))
	for _, n := range nodes {
		byID[n.ID] = n
	}
	for _, id := range slices.Sorted(maps.Keys(next.Volumes)) {
		v := next.Volumes[id]
		node, known := byID[v.Primary]
		if _, made := current.Volumes[id]; made || !known {
			continue
		}
		for _, problem := range v.Strange(node) {
			wrong = append(wrong, f.errorAt(volumePath(id)+"."+problem.Path, problem.Message))
		}
	}
	return wrong
}

// volumeNames returns which volume each name, or id, means.
func volumeNames(c cluster.Configuration) map[string]cluster.VolumeID {
	names := make(map[string]cluster.VolumeID, 2*len(c.Volumes))
	for id, v := range c.Volumes {
		if !v.Deleted {
			names[v.Name], names[string(id)] = id, id
		}
	}
	return names
}

// volumeFor returns the volume of an application: the one in c if there is one, else a new one
// that has no place yet. Where that would hide data behind an empty volume, or the volume was made
// with something else than the file says, it says so instead.
func volumeFor(c cluster.Configuration, names map[string]cluster.VolumeID, app cluster.Application, wish volumeWish) (cluster.Volume, string) {
	id, name := app.Volume.Volume, string(app.Name)
	v, exists := c.Volumes[id]
	if exists && !v.Deleted {
		return v, wish.otherwise(v)
	}
	if other, taken := names[name]; taken {
		return v, fmt.Sprintf("another volume is named %q: set dataset_id to %s to use its data, or choose another name for the application", name, other)
	}
	if exists {
		return v, fmt.Sprintf("volume %s was deleted: undelete it to use its data, or set dataset_id to a new UUID for an empty volume", id)
	}
	return cluster.Volume{ID: id, Name: name, Metadata: map[string]string{"name": name}, Profile: wish.profile, Options: maps.Clone(wish.options)}, ""
}

// otherwise says how a volume that exists differs from what a file wants it to be made with.
func (w volumeWish) otherwise(v cluster.Volume) string {
	if w.profile != "" && w.profile != v.Profile {
		return fmt.Sprintf("the volume was made with the profile %q, which cannot be changed: want that, or none here", v.Profile)
	}
	for _, option := range slices.Sorted(maps.Keys(w.options)) {
		if is := v.Options[option]; is != w.options[option] {
			return fmt.Sprintf("the volume was made with %q for the option %s, which cannot be changed: want that, or remove the option here", is, option)
		}
	}
	return ""
}
