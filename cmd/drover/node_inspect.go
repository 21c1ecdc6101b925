package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

type nodeInspectOptions struct {
	remoteOptions
	node string
}

func newNodeInspect(io_ stdio) *cobra.Command {
	o := nodeInspectOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{Use: "inspect NODE", Short: "Show all that is known of a node, given by name, address or id"},
		&o, runNodeInspect, &o.node)
}

func runNodeInspect(ctx context.Context, o nodeInspectOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	nodes, err := control.Nodes(ctx)
	if err != nil {
		return err
	}
	volumes, err := control.Volumes(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(nodes, func(n wire.NodeStatus) bool {
		return slices.Contains([]string{string(n.Node.ID), n.Node.Name, n.Node.Address}, o.node)
	})
	if i < 0 {
		return fmt.Errorf("node %q: %w; drover node ls lists them", o.node, cluster.ErrNotFound)
	}
	return o.print(o.out, nodes[i], func(w io.Writer) { printNode(w, nodes[i], nodes, volumes) })
}

func printNode(w io.Writer, n wire.NodeStatus, nodes []wire.NodeStatus, volumes []wire.VolumeStatus) {
	line := func(what, text string) { fmt.Fprintf(w, "%-12s %s\n", what, inLine(text)) }
	line("node", n.Node.Name)
	line("id", string(n.Node.ID))
	line("state", fmt.Sprintf("%s (last heard of: %s)", nodeWord(n), heard(n)))
	line("address", n.Node.Address)
	line("transfer", fmt.Sprintf("%s, key %s", dash(n.Node.TransferAddress), fingerprint(n.Node.TransferKey)))
	line("gossip", dash(n.Node.GossipAddress))
	line("version", n.Node.Version)
	line("era", n.Node.Era)
	line("labels", labels(n.Node.Labels))
	line("runtime", dash(n.Node.Runtime))
	line("backend", fmt.Sprintf("%s, %s free", dash(n.Node.Backend), bytes(n.State.FreeBytes)))
	line("abilities", dash(strings.Join(n.Node.Capabilities, ", ")))
	line("trash", long(n.Node.TrashGrace))
	for _, feature := range slices.Sorted(maps.Keys(n.Node.Features)) {
		line("feature", feature+": "+n.Node.Features[feature])
	}
	if n.State.Missing != nil {
		var missing []string
		for _, peer := range n.State.Missing {
			missing = append(missing, nodeName(nodes, peer))
		}
		line("misses", dash(strings.Join(missing, ", ")))
	}
	for _, peer := range slices.Sorted(maps.Keys(n.State.Peers)) { // an agent of an earlier version

		line("peer", nodeName(nodes, peer)+": "+n.State.Peers[peer])
	}
	printNodeWork(w, n, volumes)
}

// printNodeWork shows what a node holds and does.
func printNodeWork(w io.Writer, n wire.NodeStatus, volumes []wire.VolumeStatus) {
	called := map[string]string{}
	for _, v := range volumes {
		called[string(v.Volume.ID)] = volumeName(v.Volume)
	}
	fmt.Fprintln(w)
	if why := n.State.VolumesUnknown; why != "" {
		fmt.Fprintf(w, "it cannot see its volumes: %s\n", inLine(why))
	} else {
		table(w, "COPY OF\tROLE\tEPOCH\tOPEN\tUSED\tPATH\tWARNING", func(row func(...any)) {
			for _, v := range n.State.Volumes {
				row(orID(called, string(v.Volume)), v.Role, v.Epoch, v.Open, bytes(v.UsedBytes), dash(v.Path), dash(v.Warning))
			}
		})
	}
	if len(n.State.Steps) > 0 {
		fmt.Fprintln(w)
		table(w, "STEP\tOF\tREASON\tERROR", func(row func(...any)) {
			for _, s := range n.State.Steps {
				row(s.Kind, orID(called, s.Subject), s.Reason, dash(s.Error))
			}
		})
	}
	(&statusScreen{status: wire.Status{Nodes: []wire.NodeStatus{{Node: n.Node, State: cluster.NodeState{Conflicts: n.State.Conflicts}}}}, w: w}).conflicts()
}

func orID(called map[string]string, id string) string {
	if name, ok := called[id]; ok {
		return name
	}
	return id
}

// fingerprint is that of a public key in authorized_keys form, as ssh-keygen shows it.
func fingerprint(key string) string {
	fields := strings.Fields(key)
	if len(fields) < 2 {
		return "-"
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return "-"
	}
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}
