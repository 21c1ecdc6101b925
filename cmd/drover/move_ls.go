package main

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

type moveLsOptions struct {
	remoteOptions
	application, volume string
}

func (o *moveLsOptions) addFlags(f *pflag.FlagSet) {
	o.remoteOptions.addFlags(f)
	f.StringVar(&o.application, "application", "", "only the moves of the application of that `NAME`")
	f.StringVar(&o.volume, "volume", "", "only the moves of a `VOLUME`, given by name or id")
}

func newMoveLs(io_ stdio) *cobra.Command {
	o := moveLsOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{
		Use:   "ls",
		Short: "List all moves, newest first",
		Long:  `List all moves that are open or remembered, the newest first. Of those that have ended the last 1000 are remembered.`,
	}, &o, runMoveLs)
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
	slices.SortStableFunc(moves, func(a, b cluster.Move) int { return b.Requested.Compare(a.Requested) })
	return o.print(o.out, moves, func(w io.Writer) { printMoves(w, moves, nodes) })
}

// lists reports whether a move is one of those that were asked for.
func (o moveLsOptions) lists(m cluster.Move) bool {
	return (o.application == "" || string(m.Application) == o.application) &&
		(o.volume == "" || m.Name == o.volume || string(m.Volume) == o.volume)
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
