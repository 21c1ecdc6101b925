package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/pki"
)

func newNode(io_ stdio) *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "Look at the nodes, and add one"}
	c.AddCommand(newNodeLs(io_), newNodeInspect(io_), newNodeAdd(io_), newNodeKnownHosts(io_))
	return c
}

func newNodeLs(io_ stdio) *cobra.Command {
	var connect connectOptions
	var output outputOptions
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the nodes",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			control, err := connect.client()
			if err != nil {
				return err
			}
			nodes, err := control.Nodes(c.Context())
			if err != nil {
				return err
			}
			return output.print(io_.out, nodes, func(w io.Writer) {
				table(w, "NAME\tID\tADDRESS\tSTATE\tHEARD\tBACKEND\tRUNTIME\tFREE\tLABELS", func(row func(...any)) {
					for _, n := range nodes {
						row(n.Node.Name, n.Node.ID, n.Node.Address, nodeWord(n), ago(n.Heard), n.Node.Backend, n.Node.Runtime,
							bytes(n.State.FreeBytes), labels(n.Node.Labels))
					}
				})
			})
		},
	}
	connect.addFlags(c.Flags())
	output.addFlags(c.Flags())
	return c
}

func labels(m map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+"="+m[k])
	}
	return dash(strings.Join(list, ","))
}

func newNodeAdd(io_ stdio) *cobra.Command {
	var authority string
	c := &cobra.Command{
		Use:   "add DIR",
		Short: "Make the identity of a new node: the files that its agent needs",
		Long: `Make the identity of a new node in DIR, signed by the cluster's authority. Run it where the control
service keeps its certificates, carry DIR to the new host, and start its agent with --pki DIR. In a
DIR with an identity, what is missing is added: that of the Docker volume plugin, for one that an
older version made.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a, err := pki.Open(authority)
			if err != nil {
				return err
			}
			id, err := pki.NodeIDIn(args[0])
			if errors.Is(err, cluster.ErrNotFound) {
				id, err = cluster.NodeID(cluster.NewUUID()), nil
			}
			if err == nil {
				err = a.Node(args[0], id)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(io_.out, "%s is ready for node %s. It holds a secret key: carry it over a secure channel.\n", args[0], id)
			return nil
		},
	}
	c.Flags().StringVar(&authority, "pki", "/etc/drover/pki", "`DIR`ectory with cluster.crt and cluster.key")
	return c
}
