package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

type knownHostsOptions struct {
	stdio
	connectOptions
	nodes []string // all, if there are none
}

func newNodeKnownHosts(io_ stdio) *cobra.Command {
	o := knownHostsOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "known-hosts [NODE...]",
		Short: "Print the nodes' keys for the known_hosts of OpenSSH",
		Long: `Print what the cluster's records say of the keys of the nodes' transfer servers, as lines for the
known_hosts of OpenSSH: of all nodes, or of those given by name, address or id.`,
		Args: func(_ *cobra.Command, args []string) error { o.nodes = args; return nil },
	}, &o, runNodeKnownHosts)
}

func runNodeKnownHosts(ctx context.Context, o knownHostsOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	nodes, err := control.Nodes(ctx)
	if err != nil {
		return err
	}
	return printKnownHosts(o.out, nodes, o.nodes)
}

// printKnownHosts prints the lines of the wanted nodes, or of all that have a transfer server. One
// without a usable record does not keep back the others.
func printKnownHosts(w io.Writer, nodes []wire.NodeStatus, wanted []string) error {
	var errs []error
	found := map[string]bool{}
	for _, n := range nodes {
		named := false
		for _, name := range []string{n.Node.Name, n.Node.Address, string(n.Node.ID)} {
			if slices.Contains(wanted, name) {
				named, found[name] = true, true
			}
		}
		if !named && (len(wanted) > 0 || n.Node.TransferKey == "") {
			continue
		}
		line, err := n.Node.KnownHost()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintln(w, line)
	}
	for _, name := range wanted {
		if !found[name] {
			errs = append(errs, fmt.Errorf("node %q: %w; `drover node ls` lists them", name, cluster.ErrNotFound))
		}
	}
	return errors.Join(errs...)
}
