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
	names := make(map[cluster.NodeID]string, len(nodes))
	for _, n := range nodes {
		names[n.ID] = describe(n)
	}
	node := func(id cluster.NodeID) string {
		if name, ok := names[id]; ok {
			return name
		}
		return string(id)
	}
	sentences := make([]string, len(changes))
	for i, c := range changes {
		sentences[i] = c.subject() + ": " + c.sentence(node)
	}
	return sentences
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

func (c Change) sentence(node func(cluster.NodeID) string) string {
	switch c.Kind {
	case ApplicationAdded:
		if c.To == "" {
			return "add; it runs nowhere, as no node names it"
		}
		return "add" + on(c.To, node)
	case ApplicationRemoved:
		if c.From == "" {
			return "remove"
		}
		return "remove from " + node(c.From)
	case ApplicationChanged:
		return "change " + strings.Join(c.Fields, ", ")
	case ApplicationMoved:
		return c.move(node)
	case VolumeCreated:
		return c.creation(node)
	case VolumeAttached:
		return fmt.Sprintf("attach to %s, with the data that it holds", c.Application)
	case VolumeUnattached:
		return fmt.Sprintf("unattach from %s; its data stays%s", c.Application, on(c.To, node))
	case VolumeMoved:
		if c.From == "" {
			return "place on " + node(c.To)
		}
		return fmt.Sprintf("move from %s to %s", node(c.From), node(c.To))
	case VolumeResized:
		return fmt.Sprintf("resize from %s to %s", limit(c.FromBytes), limit(c.ToBytes))
	}
	return string(c.Kind)
}

func (c Change) move(node func(cluster.NodeID) string) string {
	switch {
	case c.From == "":
		return "start on " + node(c.To)
	case c.To == "":
		return "stop on " + node(c.From) + "; it stays defined, but no node names it"
	case c.Volume == "":
		return fmt.Sprintf("move from %s to %s (it has no volume: it starts anew there)", node(c.From), node(c.To))
	}
	return fmt.Sprintf("move from %s to %s with volume %s (data is shipped while it runs, then a short pause)",
		node(c.From), node(c.To), c.volume())
}

func (c Change) creation(node func(cluster.NodeID) string) string {
	text := "create empty" + on(c.To, node)
	if c.Application != "" {
		text += " for " + string(c.Application)
	}
	if c.ToBytes != 0 {
		text += ", at most " + limit(c.ToBytes)
	}
	return text
}

func on(id cluster.NodeID, node func(cluster.NodeID) string) string {
	if id == "" {
		return ""
	}
	return " on " + node(id)
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
