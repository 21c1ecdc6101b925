package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/pki"
)

func newNode(io_ stdio) *cobra.Command {
	return group(&cobra.Command{Use: "node", Short: "Look at the nodes; add, remove and replace one"},
		newNodeLs(io_), newNodeInspect(io_), newNodeAdd(io_), newNodeRm(io_), newNodeReplace(io_), newNodeReadmit(io_), newNodeKnownHosts(io_))
}

type nodeLsOptions struct {
	remoteOptions
	removed bool
}

func (o *nodeLsOptions) addFlags(f *pflag.FlagSet) {
	o.remoteOptions.addFlags(f)
	f.BoolVar(&o.removed, "removed", false, "list those that were removed instead")
}

func newNodeLs(io_ stdio) *cobra.Command {
	o := nodeLsOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{Use: "ls", Short: "List the nodes"}, &o, runNodeLs)
}

func runNodeLs(ctx context.Context, o nodeLsOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	if o.removed {
		return runNodeLsRemoved(ctx, o, control)
	}
	nodes, err := control.Nodes(ctx)
	if err != nil {
		return err
	}
	return o.print(o.out, nodes, func(w io.Writer) {
		table(w, "NAME\tID\tADDRESS\tSTATE\tHEARD\tBACKEND\tRUNTIME\tFREE\tLABELS", func(row func(...any)) {
			for _, n := range nodes {
				row(n.Node.Name, n.Node.ID, n.Node.Address, nodeWord(n), heard(n), n.Node.Backend, n.Node.Runtime,
					free(n), labels(n.Node.Labels))
			}
		})
	})
}

func labels(m map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+"="+m[k])
	}
	return dash(strings.Join(list, ","))
}

type nodeAddOptions struct {
	stdio
	authorityOptions
	dir string
}

func (o *nodeAddOptions) addFlags(f *pflag.FlagSet) {
	o.authorityOptions.addFlags(f)
	f.StringVar(&o.authority, "pki", controlPKI, "former name of --authority")
	f.Lookup("pki").Hidden = true
}

func newNodeAdd(io_ stdio) *cobra.Command {
	o := nodeAddOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "add DIR",
		Short: "Make the identity of a new node: the files that its agent needs",
		Long: `Make the identity of a new node in DIR, signed by the cluster's authority. Run it where the control
service keeps its certificates, carry DIR to the new host, and start its agent with --pki DIR. In a
DIR with an identity, what is missing is added: that of the Docker volume plugin, for one that an
older version made.`,
	}, &o, runNodeAdd, &o.dir)
}

func runNodeAdd(_ context.Context, o nodeAddOptions) error {
	a, err := o.open()
	if err != nil {
		return err
	}
	id, err := pki.NodeIDIn(o.dir)
	if errors.Is(err, cluster.ErrNotFound) {
		id, err = cluster.NodeID(cluster.NewUUID()), nil
	}
	if err == nil {
		err = a.Node(o.dir, id)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%s is ready for node %s. It holds a secret key: carry it over a secure channel.\n", o.dir, id)
	return nil
}
