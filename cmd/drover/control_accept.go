package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

type controlAcceptOptions struct {
	remoteOptions
	yes     bool
	without []string
}

func (o *controlAcceptOptions) addFlags(f *pflag.FlagSet) {
	o.remoteOptions.addFlags(f)
	f.BoolVar(&o.yes, "yes", false, "accept it")
	f.StringSliceVar(&o.without, "without", nil, "`NODES` that are gone for good: all others must have come back")
}

func newControlAccept(io_ stdio) *cobra.Command {
	o := controlAcceptOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{
		Use:   "accept",
		Short: "Show what follows from a store that went back to an older copy, and with --yes let it",
		Long: `Show what the control service knows of its store having gone back: control.db was put back from a backup,
say, and nodes have acted on more than it holds. From then on nothing is destroyed on its word. With --yes
its records count again, as the list says: later owners are its owners, snapshots that users kept are kept,
no volume goes back to a snapshot that was asked for earlier, and what is deleted on record is deleted. Every
node must have come back and said what it has, but for those that --without names. Such a one must never come back
with its disk: what it alone knew of may have another owner by then.`,
	}, &o, runControlAccept)
}

func runControlAccept(ctx context.Context, o controlAcceptOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	ask := control.Recovery
	if o.yes {
		ask = func(ctx context.Context) (wire.Recovery, error) {
			return control.AcceptRecovery(ctx, wire.AcceptRequest{Without: o.without})
		}
	}
	r, err := ask(ctx)
	if err != nil {
		return err
	}
	return o.print(o.out, r, func(w io.Writer) { printRecovery(w, r, o.yes) })
}

func printRecovery(w io.Writer, r wire.Recovery, accepted bool) {
	if !r.Recovering && len(r.Consequences) == 0 {
		fmt.Fprintln(w, "the store has not gone back: there is nothing to accept")
		return
	}
	if r.Recovering {
		fmt.Fprintf(w, "the store has gone back: %s\n", cluster.Printable(r.Why))
	}
	for _, consequence := range r.Consequences {
		fmt.Fprintf(w, "  %s\n", cluster.Printable(consequence))
	}
	if accepted {
		fmt.Fprintln(w, "accepted")
		return
	}
	fmt.Fprintln(w, "to accept this: drover control accept --yes")
}
