package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// Created reports whether the owner has reported its copy for the first time, or that it has had one.
func (v View) Created(o cluster.Ownership) bool {
	if o.Created {
		return false
	}
	n := v.Seen.Nodes.At(o.Owner)
	if n != nil && n.State != nil && slices.Contains(n.State.Made, o.Volume) {
		return true
	}
	c, ok := v.Copies(o.Volume)[o.Owner]
	return ok && c.Epoch == o.Epoch
}

// Emptied reports whether the owner of a volume says that it has neither a copy of it nor one in its
// trash.
func (v View) Emptied(o cluster.Ownership) bool {
	state := v.State(o.Owner)
	if state == nil || state.VolumesUnknown != "" || state.Trash == nil {
		return false
	}
	_, exists := v.Copies(o.Volume)[o.Owner]
	return !exists && !slices.Contains(state.Trash, o.Volume)
}

// Unreadable reports whether the owner of a volume says that it has something of it in its trash that
// it cannot read.
func (v View) Unreadable(o cluster.Ownership) bool {
	n := v.Seen.Nodes.At(o.Owner)
	return n != nil && n.State != nil && slices.Contains(n.State.Unreadable, o.Volume)
}

// A Loss is what an owner says of a copy that it should have.
type Loss struct {
	// Unknown says why there is no telling; empty: the owner has been heard.
	Unknown string
	// What is wrong; empty: it has its copy.
	What string
	// Found: the owner says so itself, and knew by then that it is the owner.
	Found bool
	// Users run on it all the same.
	Users []string
}

// Loss returns what the owner of a volume says of its copy.
func (v View) Loss(o cluster.Ownership) Loss {
	if !v.InTouch(o.Owner) {
		return Loss{Unknown: "has not been heard of"}
	}
	state := v.State(o.Owner)
	switch {
	case state == nil:
		return Loss{Unknown: "has not reported its state yet"}
	case state.VolumesUnknown != "":
		return Loss{Unknown: "cannot see its volumes: " + state.VolumesUnknown}
	}
	var l Loss
	c, exists := v.Copies(o.Volume)[o.Owner]
	switch {
	case !exists:
		l.What = "it has no copy"
	case c.Lost != "" || c.Epoch == 0:
		l.What = "its copy cannot be used: " + cmp.Or(c.Lost, c.Warning)
		l.Found = c.Lost != "" && state.Seen >= v.Model.Ownerships.Written(o.Volume)<<RevisionsPerWrite
	case c.Role == cluster.Replica && c.Head != o.Base:
		l.What = "its copy is not at the snapshot that it should start from"
	}
	for _, a := range state.Applications {
		if a.Volume == o.Volume && a.Running {
			l.Users = append(l.Users, string(a.Name))
		}
	}
	l.Users = append(l.Users, c.Users...)
	return l
}

// Superseded says what is wrong with a volume of which a copy is above the record; empty if there is none.
func (v View) Superseded(id cluster.VolumeID) string {
	o, owned := v.Model.Ownerships.Get(id)
	_, above := v.Above(o)
	if !owned || !above {
		return ""
	}
	var on []string
	copies := v.Copies(id)
	for _, node := range records.Sorted(copies) {
		on = append(on, fmt.Sprintf("%s (%s, epoch %d)", v.Model.Node(node), copies[node].Role, copies[node].Epoch))
	}
	then := "nobody is told to write it"
	if counts, _ := v.Owner(o); counts.Owner != Somebody {
		then = v.Model.Node(counts.Owner) + " goes on with it"
	}
	return fmt.Sprintf("volume %s is owned by %s at epoch %d on record, but there are copies on %s: the store has gone back; %s, and nothing else happens to it",
		v.Model.Volume(id), v.Model.Node(o.Owner), o.Epoch, strings.Join(on, ", "), then)
}

// Suspended returns what is wrong with each volume of which a copy is above the record; nil if there are none.
func (v View) Suspended() map[cluster.VolumeID]string {
	var suspended map[cluster.VolumeID]string
	for volume := range v.Model.Volumes.All() {
		what := v.Superseded(volume.ID)
		if what == "" || volume.Deleted {
			continue
		}
		if suspended == nil {
			suspended = map[cluster.VolumeID]string{}
		}
		suspended[volume.ID] = what
	}
	return suspended
}

// Strays says which nodes have a copy of a volume that never had an owner here, be it in their trash; empty
// if none has.
func (v View) Strays(volume cluster.Volume) string {
	var on []string
	copies := v.Copies(volume.ID)
	for _, node := range records.Sorted(copies) {
		on = append(on, fmt.Sprintf("%s (%s, epoch %d)", v.Model.Node(node), copies[node].Role, copies[node].Epoch))
	}
	for node, n := range v.Seen.Nodes.All() {
		if state := n.State; state != nil && (slices.Contains(state.Trash, volume.ID) || slices.Contains(state.Unreadable, volume.ID)) {
			on = append(on, v.Model.Node(node)+" (in the trash)")
		}
	}
	if len(on) == 0 {
		return ""
	}
	return fmt.Sprintf("volume %s has no owner on record, but there are copies on %s: it is not created anew over them",
		records.Name(volume), strings.Join(on, ", "))
}

// Replicas says which nodes have said that they have a replica of a volume, and of when, the newest first.
func (v View) Replicas(o cluster.Ownership) []string {
	type replica struct {
		at   time.Time
		text string
	}
	var found []replica
	copies := v.Copies(o.Volume)
	for _, node := range records.Sorted(copies) {
		c := copies[node]
		if node == o.Owner || c.Role != cluster.Replica {
			continue
		}
		r := replica{text: v.Model.Node(node) + ", at no snapshot: it cannot take over"}
		if at := slices.IndexFunc(c.Snapshots, func(s cluster.Snapshot) bool { return s.GUID == c.Head && c.Head != "" }); at >= 0 {
			r.at = c.Snapshots[at].Created
			r.text = fmt.Sprintf("%s, %s old", v.Model.Node(node), v.Wall.Sub(r.at).Round(time.Second))
		}
		if !v.InTouch(node) {
			r.text += ", which is not heard of"
		}
		found = append(found, r)
	}
	slices.SortStableFunc(found, func(a, b replica) int { return b.at.Compare(a.at) })
	texts := make([]string, len(found))
	for i, r := range found {
		texts[i] = r.text
	}
	return texts
}

// WaysOut says how a volume gets an owner again whose own was removed.
func (v View) WaysOut(volume cluster.Volume, o cluster.Ownership) string {
	back := "drover node readmit " + v.Model.Node(o.Owner)
	replicas := v.Replicas(o)
	if len(replicas) == 0 {
		return "no other node has said that it has a replica; if its host comes back: " + back
	}
	return fmt.Sprintf("a replica can take over: drover volume takeover %s NODE (%s); or, if its host comes back: %s",
		records.Name(volume), strings.Join(replicas, "; "), back)
}
