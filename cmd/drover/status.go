package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

type statusOptions struct{ remoteOptions }

func newStatus(io_ stdio) *cobra.Command {
	o := statusOptions{remoteOptions{stdio: io_}}
	return command(&cobra.Command{
		Use:   "status",
		Short: "Show nodes, applications, volumes and moves on one screen",
		Long: `Show nodes, applications, volumes and moves on one screen, what is missing until the cluster has converged, and
conflicts with their ways out. Of the moves it shows those that are open and the last five that have ended;
"drover move ls" lists all.`,
	}, &o, runStatus)
}

func runStatus(ctx context.Context, o statusOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	status, err := control.Status(ctx)
	if err != nil {
		return err
	}
	return o.print(o.out, status, func(w io.Writer) { (&statusScreen{status: status, w: w}).print() })
}

// A statusScreen prints a status for people.
type statusScreen struct {
	status wire.Status
	w      io.Writer
}

func (s *statusScreen) print() {
	if s.status.Converged {
		but := ""
		if slices.ContainsFunc(s.status.Nodes, func(n wire.NodeStatus) bool { return n.Refused != nil }) {
			but = "; an agent is REFUSED, see below"
		}
		fmt.Fprintf(s.w, "converged, revision %d%s\n\n", s.status.Revision, but)
	} else {
		fmt.Fprintf(s.w, "not converged, revision %d:\n%s\n", s.status.Revision, pendingText(s.status.Missing()))
	}
	s.nodes()
	s.applications()
	s.volumes()
	s.kept()
	s.moves()
	s.conflicts()
}

func (s *statusScreen) nodes() {
	table(s.w, "NODE\tADDRESS\tSTATE\tHEARD\tBACKEND\tRUNTIME\tFREE", func(row func(...any)) {
		for _, n := range s.status.Nodes {
			row(n.Node.Name, n.Node.Address, nodeWord(n), heard(n), n.Node.Backend, n.Node.Runtime, free(n))
		}
	})
}

func (s *statusScreen) applications() {
	if len(s.status.Configuration.Applications) == 0 {
		return
	}
	fmt.Fprintln(s.w)
	table(s.w, "APPLICATION\tNODE\tSTATE\tPORTS\tREASON", func(row func(...any)) {
		for _, name := range slices.Sorted(maps.Keys(s.status.Configuration.Applications)) {
			app := s.status.Configuration.Applications[name]
			node, state := s.where(app)
			word, reason := appWord(state), cmp.Or(state.Reason, state.Settling)
			if s.suspended(app) {
				reason = "the store went back, and there is a later copy of its volume: waits for drover control accept"
				if !state.Running {
					word = "suspended"
				}
			}
			row(name, node, word, ports(app), dash(reason))
		}
	})
}

// suspended reports whether nobody is told to run an application, since its volume has a later copy than the
// record knows.
func (s *statusScreen) suspended(app cluster.Application) bool {
	return app.Volume != nil && s.status.Suspended[app.Volume.Volume] != ""
}

// where returns the name of the node that should run the application now, and what that node
// says of it. One that is suspended runs where it ran.
func (s *statusScreen) where(app cluster.Application) (string, cluster.Instance) {
	for _, n := range s.status.Nodes {
		for _, a := range n.State.Applications {
			if s.suspended(app) && n.Live && a.Name == app.Name && a.Running {
				return n.Node.Name, a
			}
		}
	}
	id := app.Node
	if app.Volume != nil {
		if o, ok := s.status.Ownerships[app.Volume.Volume]; ok {
			id = o.Owner
		}
	}
	for _, n := range s.status.Nodes {
		if n.Node.ID != id {
			continue
		}
		for _, a := range n.State.Applications {
			if a.Name == app.Name {
				return n.Node.Name, a
			}
		}
		return n.Node.Name, cluster.Instance{}
	}
	return nodeName(s.named(), id), cluster.Instance{}
}

// named returns the nodes, and those that were removed, of which only the names are known.
func (s *statusScreen) named() []wire.NodeStatus {
	nodes := slices.Clip(s.status.Nodes)
	for id, name := range s.status.Removed {
		nodes = append(nodes, wire.NodeStatus{Node: cluster.Node{ID: id, Name: name + " (removed)"}})
	}
	return nodes
}

func (s *statusScreen) volumes() {
	if len(s.status.Ownerships) == 0 {
		return
	}
	fmt.Fprintln(s.w)
	table(s.w, "VOLUME\tOWNER\tEPOCH\tUSED\tLIMIT\tCOPIES\tWARNING", func(row func(...any)) {
		for _, id := range slices.Sorted(maps.Keys(s.status.Configuration.Volumes)) {
			v := s.status.Configuration.Volumes[id]
			if v.Deleted {
				continue
			}
			o := s.status.Ownerships[id]
			used, copies, warning := s.copies(id, o.Owner)
			if s.status.Suspended[id] != "" {
				warning = "suspended: waits for drover control accept"
			}
			row(volumeName(v), nodeName(s.named(), o.Owner), o.Epoch, bytes(used), limit(v.MaximumSize), copies, dash(warning))
		}
	})
}

// copies sums up the copies of a volume: what its owner's holds, and who has one.
func (s *statusScreen) copies(id cluster.VolumeID, owner cluster.NodeID) (used int64, copies, warning string) {
	var names []string
	for _, n := range s.status.Nodes {
		for _, v := range n.State.Volumes {
			if v.Volume != id {
				continue
			}
			names = append(names, fmt.Sprintf("%s (%s)", n.Node.Name, v.Role))
			if n.Node.ID == owner {
				used, warning = v.UsedBytes, v.Warning
			}
		}
	}
	return used, dash(strings.Join(names, ", ")), warning
}

// kept shows the data of applications that are in no volume and that nothing uses.
func (s *statusScreen) kept() {
	if !slices.ContainsFunc(s.status.Nodes, func(n wire.NodeStatus) bool { return len(n.State.Kept) > 0 }) {
		return
	}
	fmt.Fprintln(s.w)
	table(s.w, "DATA IN NO VOLUME OF\tNODE\tPATH\tDOCKER VOLUME", func(row func(...any)) {
		for _, n := range s.status.Nodes {
			for _, k := range n.State.Kept {
				row(k.Application, n.Node.Name, k.Path, k.Volume)
			}
		}
	})
}

func (s *statusScreen) moves() {
	if len(s.status.Moves) == 0 {
		return
	}
	fmt.Fprintln(s.w)
	printMoves(s.w, s.status.Moves, s.named())
}

func (s *statusScreen) conflicts() {
	for _, n := range s.status.Nodes {
		for _, c := range n.State.Conflicts {
			fmt.Fprintf(s.w, "\nCONFLICT on %s: %s\n", n.Node.Name, inLine(c.What))
			for _, way := range c.WaysOut {
				fmt.Fprintf(s.w, "  - %s\n", inLine(way))
			}
		}
		if r := n.Refused; r != nil {
			fmt.Fprintf(s.w, "\nREFUSED as %s: an agent at %s: %s\n", n.Node.Name, r.Address, inLine(r.Why))
			if r.WayOut != "" {
				fmt.Fprintf(s.w, "  - %s\n", inLine(r.WayOut))
			}
		}
		for _, step := range n.State.Steps {
			if step.Error != "" {
				fmt.Fprintf(s.w, "\nFAILED on %s: %s %s: %s (again at %s)\n", n.Node.Name, step.Kind, s.called(step.Subject), inLine(step.Error),
					step.Retry.Local().Format(time.TimeOnly))
			}
		}
	}
}

// called names what a step is about: an application, or a volume by its id.
func (s *statusScreen) called(subject string) string {
	if v, ok := s.status.Configuration.Volumes[cluster.VolumeID(subject)]; ok {
		return volumeName(v)
	}
	return subject
}

func moveReason(m cluster.Move) string {
	if m.Phase == cluster.PhaseDone {
		return proofOf(m)
	}
	reason := m.Reason
	if m.Phase == cluster.PhaseWaiting && !m.NotBefore.IsZero() {
		reason += " (again at " + m.NotBefore.Local().Format(time.TimeOnly) + ")"
	}
	return reason
}

// proofOf says in short what showed that both copies are equal.
func proofOf(m cluster.Move) string {
	if m.Stats.Accepted != "" {
		return "no proof: " + m.Stats.Accepted
	}
	proof := m.Stats.Proof
	if algorithm, digest, ok := strings.Cut(proof, " "); ok && algorithm == "sha256" {
		proof = algorithm + " " + short(digest) // the event has all of it
	}
	if proof == "" {
		return ""
	}
	return "proof: " + proof
}

func moveSubject(m cluster.Move) string {
	if m.Application != "" {
		return string(m.Application)
	}
	return "volume " + cmp.Or(m.Name, short(m.Volume))
}

// heard says when a node was heard of. The service does not keep that: it knows of its own life only.
func heard(n wire.NodeStatus) string {
	if n.Heard.IsZero() {
		return "not since the service started"
	}
	return ago(n.Heard)
}

// free says how much room a node has for volumes, as far as it has said.
func free(n wire.NodeStatus) string {
	if n.Heard.IsZero() {
		return "-"
	}
	return bytes(n.State.FreeBytes)
}

func nodeWord(n wire.NodeStatus) string {
	if n.Live {
		return "in touch"
	}
	return "not heard of"
}

func appWord(a cluster.Instance) string {
	switch {
	case a.Healthy:
		return "running"
	case a.Running:
		return "starting"
	default:
		return "stopped"
	}
}

func ports(app cluster.Application) string {
	var list []string
	for _, p := range app.Ports {
		list = append(list, fmt.Sprintf("%d->%d", p.External, p.Internal))
	}
	return dash(strings.Join(list, ","))
}

func volumeName(v cluster.Volume) string {
	if v.Name != "" {
		return v.Name
	}
	return string(v.ID)
}

func nodeName(nodes []wire.NodeStatus, id cluster.NodeID) string {
	if n, ok := nodeOf(nodes, id); ok {
		return n.Node.Name
	}
	return dash(id)
}

func nodeOf(nodes []wire.NodeStatus, id cluster.NodeID) (wire.NodeStatus, bool) {
	for _, n := range nodes {
		if n.Node.ID == id {
			return n, true
		}
	}
	return wire.NodeStatus{}, false
}

func limit(n int64) string {
	if n == 0 {
		return "-"
	}
	return bytes(n)
}

// short is as much of an id as people need to tell it from others.
func short[T ~string](id T) string { return string(id[:min(len(id), 8)]) }
