package deploy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/drover/drover/cluster"
)

// Render says each change in a sentence for people; no changes make no sentence. Nodes give their
// names; one that is not among them is shown by its id.
func Render(changes []Change, nodes []cluster.Node) []string {
	known := make(directory, len(nodes))
	for _, n := range nodes {
		known[n.ID] = n
	}
	sentences := make([]string, len(changes))
	for i, c := range changes {
		sentences[i] = c.subject() + ": " + c.sentence(known)
	}
	return sentences
}

// A directory knows nodes by their ids.
type directory map[cluster.NodeID]cluster.Node

// name is what people call a node.
func (d directory) name(id cluster.NodeID) string {
	if n, ok := d[id]; ok {
		return describe(n)
	}
	return string(id)
}

// way says how data goes from one node to another.
func (d directory) way(from, to cluster.NodeID) string {
	if a, b := d[from].Backend, d[to].Backend; a != "" && b != "" && a != b {
		return fmt.Sprintf("data is shipped file by file, from %s to %s, while it runs", a, b)
	}
	return "data is shipped while it runs"
}

// describe names a node for people.
func describe(n cluster.Node) string {
	switch {
	case n.Name == "":
		return n.Address
	case n.Address == "":
		return n.Name
	}
	return n.Name + " (" + n.Address + ")"
}

func (c Change) subject() string {
	if strings.HasPrefix(string(c.Kind), "volume") {
		return "volume " + c.volume()
	}
	return string(c.Application)
}

// volume names the volume for people.
func (c Change) volume() string {
	if c.VolumeName != "" {
		return c.VolumeName
	}
	return string(c.Volume)
}

func (c Change) sentence(nodes directory) string {
	switch c.Kind {
	case ApplicationAdded:
		if c.To == "" {
			return "add; it runs nowhere, as no node names it"
		}
		return "add" + on(c.To, nodes)
	case ApplicationRemoved:
		if c.From == "" {
			return "remove"
		}
		return "remove from " + nodes.name(c.From)
	case ApplicationChanged:
		return "change " + strings.Join(c.Fields, ", ")
	case ApplicationMoved:
		return c.move(nodes)
	case VolumeCreated:
		return c.creation(nodes)
	case VolumeAttached:
		return fmt.Sprintf("attach to %s, with the data that it holds", c.Application)
	case VolumeUnattached:
		return fmt.Sprintf("unattach from %s; its data stays%s", c.Application, on(c.To, nodes))
	case VolumeMoved:
		if c.From == "" {
			return "place on " + nodes.name(c.To)
		}
		return fmt.Sprintf("move from %s to %s", nodes.name(c.From), nodes.name(c.To))
	case VolumeResized:
		return fmt.Sprintf("resize from %s to %s", limit(c.FromBytes), limit(c.ToBytes))
	}
	return string(c.Kind)
}

func (c Change) move(nodes directory) string {
	switch {
	case c.From == "":
		return "start on " + nodes.name(c.To)
	case c.To == "":
		return "stop on " + nodes.name(c.From) + "; it stays defined, but no node names it"
	case c.Volume == "":
		return fmt.Sprintf("move from %s to %s (it has no volume: it starts anew there)", nodes.name(c.From), nodes.name(c.To))
	}
	return fmt.Sprintf("move from %s to %s with volume %s (%s, then a short pause)",
		nodes.name(c.From), nodes.name(c.To), c.volume(), nodes.way(c.From, c.To))
}

func (c Change) creation(nodes directory) string {
	text := "create empty" + on(c.To, nodes)
	if c.Application != "" {
		text += " for " + string(c.Application)
	}
	if c.ToBytes != 0 {
		text += ", at most " + limit(c.ToBytes)
	}
	return text
}

func on(id cluster.NodeID, nodes directory) string {
	if id == "" {
		return ""
	}
	return " on " + nodes.name(id)
}

// limit writes a maximum size so that a file could have it: in the largest unit that divides it.
func limit(bytes int64) string {
	if bytes == 0 {
		return "no limit"
	}
	unit := ""
	for _, larger := range []string{"K", "M", "G", "T"} {
		if bytes%1024 != 0 {
			break
		}
		bytes, unit = bytes/1024, larger
	}
	return strconv.FormatInt(bytes, 10) + unit
}
