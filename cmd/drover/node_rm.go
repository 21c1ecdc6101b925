package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
)

type nodeRmOptions struct {
	remoteOptions
	node    string
	yes     bool
	request wire.RemovalRequest
}

func (o *nodeRmOptions) addFlags(f *pflag.FlagSet) {
	o.remoteOptions.addFlags(f)
	f.BoolVar(&o.yes, "yes", false, "do it without asking")
}

func newNodeRm(io_ stdio) *cobra.Command {
	o := nodeRmOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{
		Use:   "rm NODE",
		Short: "Remove a node that is gone for good, after saying what becomes of what it has",
		Long: `Remove a node that is gone for good, given by name, address or id. First it is said what becomes of all
that the node has: its volumes, the replicas that could take over and how old they are, its applications,
moves and leases. Nothing is done before that is confirmed, at the terminal or by --yes.

The volumes stay on record as those of the removed node, and none is made anew in their place: a replica takes
over by "drover volume takeover". The node is not let in again by itself: see "drover node readmit".

A node that shows any sign of life is refused: it may write. Be sure that its host is off, or never comes
back: what it runs ends only once its agent hears that it was removed.`,
	}, &o, runNodeRm, &o.node)
}

type nodeReplaceOptions struct{ nodeRmOptions }

func (o *nodeReplaceOptions) addFlags(f *pflag.FlagSet) {
	o.nodeRmOptions.addFlags(f)
	f.BoolVar(&o.request.Leave, "leave", false, "leave the volumes that NEW cannot take over without an owner that is there")
}

func newNodeReplace(io_ stdio) *cobra.Command {
	o := nodeReplaceOptions{nodeRmOptions{remoteOptions: remoteOptions{stdio: io_}}}
	return command(&cobra.Command{
		Use:   "replace OLD NEW",
		Short: "Remove a node that is gone for good, and have another one go on with what it had",
		Long: `Remove a node as "drover node rm" does, and have another one take its place: applications that were placed on
OLD are placed on NEW, and NEW owns the volumes of OLD of which it has the newest replica. What was written
after a replica's last snapshot is lost; it is said first of how long that is. Volumes that NEW cannot take over
are listed, and without --leave nothing is done then.`,
	}, &o, runNodeReplace, &o.node, &o.request.Replacement)
}

func runNodeReplace(ctx context.Context, o nodeReplaceOptions) error {
	return runNodeRm(ctx, o.nodeRmOptions)
}

func runNodeRm(ctx context.Context, o nodeRmOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	if !o.yes {
		shown, err := control.RemoveNode(ctx, o.node, o.request)
		if err != nil {
			return err
		}
		printRemoval(o.err, shown)
		if err := confirmed(ctx, o.stdio); err != nil {
			return err
		}
		o.node = string(shown.Node.ID)
	}
	o.request.Confirmed = true
	removal, err := control.RemoveNode(ctx, o.node, o.request)
	if err != nil {
		return err
	}
	return o.print(o.out, removal, func(w io.Writer) { printRemoval(w, removal) })
}

// confirmed asks the user at the terminal whether to go on.
func confirmed(ctx context.Context, io_ stdio) error {
	refused := func(why string) error {
		return cluster.WithHint(fmt.Errorf("%w: %s; nothing was changed", cluster.ErrRefused, why), "to go on: --yes")
	}
	if _, is := terminal(io_.in); !is {
		return refused("nobody can be asked here, without a terminal")
	}
	fmt.Fprint(io_.err, "Go on? Type yes: ")
	answer, err := line(ctx, io_.in)
	if err != nil {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return refused("it was not confirmed")
	}
	return nil
}

// line returns what a user types until the end of the line, or the error of ctx: to read from a terminal
// does not end with it. What cannot be read is an empty line.
func line(ctx context.Context, in io.Reader) (string, error) {
	typed := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(in).ReadString('\n')
		typed <- text
	}()
	select {
	case text := <-typed:
		return text, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func printRemoval(w io.Writer, r wire.Removal) {
	verb := "is removed"
	if !r.Done {
		verb = "would be removed"
	}
	place := ""
	if r.Replacement != nil {
		place = fmt.Sprintf("; %s takes its place", r.Replacement.Name)
	}
	fmt.Fprintf(w, "node %s (%s) %s%s\n", r.Node.Name, r.Node.Address, verb, place)
	for _, consequence := range r.Consequences {
		fmt.Fprintf(w, "  %s\n", inLine(consequence))
	}
	if len(r.Consequences) == 0 {
		fmt.Fprintln(w, "  it has no volumes, and nothing is placed on it")
	}
}

type nodeReadmitOptions struct {
	stdio
	connectOptions
	node string
}

func newNodeReadmit(io_ stdio) *cobra.Command {
	o := nodeReadmitOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "readmit NODE",
		Short: "Let a node that was removed register again, given by name or id",
		Long: `Let a node that was removed register again, by the identity that it has. It owns what nobody has taken over
since; of the rest, its copies are put aside and reported. "drover node ls --removed" lists those that were removed.`,
	}, &o, runNodeReadmit, &o.node)
}

func runNodeReadmit(ctx context.Context, o nodeReadmitOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	if _, err := control.ReadmitNode(ctx, o.node); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "node %s may register again; its agent does so by itself\n", o.node)
	return nil
}

func runNodeLsRemoved(ctx context.Context, o nodeLsOptions, control *client.Client) error {
	nodes, err := control.RemovedNodes(ctx)
	if err != nil {
		return err
	}
	return o.print(o.out, nodes, func(w io.Writer) {
		table(w, "NAME\tID\tADDRESS\tREMOVED\tBY", func(row func(...any)) {
			for _, n := range nodes {
				row(n.Name, n.ID, n.Address, n.At.Local().Format(time.DateTime), dash(n.By))
			}
		})
	})
}
