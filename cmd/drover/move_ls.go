package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
)

type moveLsOptions struct {
	remoteOptions
	application, volume, of string
}

func (o *moveLsOptions) addFlags(f *pflag.FlagSet) {
	o.remoteOptions.addFlags(f)
	f.StringVar(&o.application, "application", "", "only the moves of the application of that `NAME`")
	f.StringVar(&o.volume, "volume", "", "only the moves of a `VOLUME`, given by name or id")
}

func newMoveLs(io_ stdio) *cobra.Command {
	o := moveLsOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{
		Use:   "ls [NAME]",
		Args:  atMost(1),
		Short: "List all moves, newest first",
		Long: `List all moves that are open or remembered, the newest first: all, or those of the application or the volume NAME, or
whose ids begin so. Of those that have ended the last 1000 are remembered.`,
	}, &o, runMoveLs, &o.of)
}

func runMoveLs(ctx context.Context, o moveLsOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	moves, err := control.Moves(ctx)
	if err != nil {
		return err
	}
	nodes, err := control.Nodes(ctx)
	if err != nil {
		return err
	}
	moves = slices.DeleteFunc(moves, func(m cluster.Move) bool { return !o.lists(m) })
	if len(moves) == 0 {
		if err := o.known(ctx, control); err != nil {
			return err
		}
	}
	slices.SortStableFunc(moves, func(a, b cluster.Move) int { return b.Requested.Compare(a.Requested) })
	return o.print(o.out, moves, func(w io.Writer) {
		if len(moves) == 0 {
			fmt.Fprintln(w, "no moves")
		}
		printMoves(w, moves, nodes)
	})
}

// lists reports whether a move is one of those that were asked for.
func (o moveLsOptions) lists(m cluster.Move) bool {
	return (o.application == "" || string(m.Application) == o.application) &&
		(o.volume == "" || m.Name == o.volume || string(m.Volume) == o.volume) &&
		(o.of == "" || string(m.Application) == o.of || m.Name == o.of || string(m.Volume) == o.of || strings.HasPrefix(string(m.ID), o.of))
}

// known returns an error if there is nothing of a name whose moves were asked for: that it has none would be
// no answer to a slip.
func (o moveLsOptions) known(ctx context.Context, control *client.Client) error {
	has, err := control.Configuration(ctx)
	if err != nil {
		return err
	}
	application := func(name string) bool {
		_, ok := has.Configuration.Applications[cluster.AppName(name)]
		return ok
	}
	volume := func(name string) bool {
		for id, v := range has.Configuration.Volumes {
			if v.Name == name || string(id) == name {
				return true
			}
		}
		return false
	}
	missing := func(what, name, lists string) error {
		err := fmt.Errorf("%s %s: %w, and no move of that name is remembered", what, cluster.Printable(name), cluster.ErrNotFound)
		return cluster.WithHint(err, lists)
	}
	switch {
	case o.application != "" && !application(o.application):
		return missing("application", o.application, "drover status lists the applications")
	case o.volume != "" && !volume(o.volume):
		return missing("volume", o.volume, "drover volume ls lists the volumes")
	case o.of != "" && !application(o.of) && !volume(o.of):
		return missing("application, volume or move", o.of, "drover status lists what there is, drover move ls all moves")
	}
	return nil
}

// printMoves prints a table of moves, if there are any.
func printMoves(w io.Writer, moves []cluster.Move, nodes []wire.NodeStatus) {
	if len(moves) == 0 {
		return
	}
	table(w, "MOVE\tOF\tFROM\tTO\tREQUESTED\tPHASE\tATTEMPT\tSHIPPED\tPAUSE\tREASON", func(row func(...any)) {
		for _, m := range moves {
			row(short(m.ID), moveSubject(m), nodeName(nodes, m.From), nodeName(nodes, m.To), ago(m.Requested), m.Phase, m.Attempt,
				bytes(m.Stats.PrecopiedBytes()+m.Stats.Final.Bytes), m.Stats.Pause.Round(time.Millisecond), dash(moveReason(m)))
		}
	})
}
