package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
)

type moveOptions struct {
	connectOptions
	outputOptions
	wait    bool
	timeout time.Duration
}

func (o *moveOptions) addFlags(c *cobra.Command) {
	o.connectOptions.addFlags(c.Flags())
	o.outputOptions.addFlags(c.Flags())
}

func newMove(io_ stdio) *cobra.Command {
	var o moveOptions
	c := &cobra.Command{
		Use:   "move APPLICATION NODE",
		Short: "Move an application with its volume to another node",
		Long: `Move an application with its volume to another node, given by name, address or id. The command shows
the progress and ends with the move. Interrupting it does not stop the move: watch it again with
"drover move watch", and stop it with "drover move abort".`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return runMove(c.Context(), o, args[0], args[1], io_) },
	}
	o.addFlags(c)
	c.Flags().BoolVar(&o.wait, "wait", true, "wait until the move has ended")
	c.Flags().DurationVar(&o.timeout, "timeout", 0, "wait no longer than this (0: until it has ended)")
	c.AddCommand(newMoveWatch(io_), newMoveAbort(io_), newMoveLs(io_))
	return c
}

func runMove(ctx context.Context, o moveOptions, app, node string, io_ stdio) error {
	if err := o.check(); err != nil {
		return err
	}
	control, err := o.client()
	if err != nil {
		return err
	}
	move, err := control.RequestMove(ctx, wire.MoveRequest{Application: cluster.AppName(app), To: node})
	if err != nil {
		return err
	}
	if !o.wait || move.Phase.Ended() {
		return o.print(io_.out, move, func(w io.Writer) { fmt.Fprintf(w, "move %s: %s\n", dash(move.ID), move.Phase) })
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	return followMove(ctx, o, control, move.ID, io_)
}

// followMove shows a move until it has ended, then its figures.
func followMove(ctx context.Context, o moveOptions, control *client.Client, id cluster.MoveID, io_ stdio) error {
	display := newMoveDisplay(io_.err)
	move, err := control.WatchMove(ctx, id, display.show)
	display.close()
	if err != nil {
		return cluster.WithHint(err, fmt.Sprintf("the move goes on; see it again with: drover move watch %s", id))
	}
	if err := o.print(io_.out, move, func(w io.Writer) { printMove(w, move) }); err != nil {
		return err
	}
	if move.Phase == cluster.PhaseRolledBack {
		return fmt.Errorf("%w: %s stays on its node: %s", cluster.ErrRefused, moveSubject(move), move.Reason)
	}
	return nil
}

func printMove(w io.Writer, m cluster.Move) {
	f := m.Figures
	fmt.Fprintf(w, "%s: %s in %s; %d rounds, %s pre-copied, %s in the last round, pause %s (stop %s, last round %s, promote %s)\n",
		moveSubject(m), m.Phase, m.Ended.Sub(m.Requested).Round(10*time.Millisecond), len(f.Rounds), bytes(f.PrecopiedBytes()),
		bytes(f.Final.Bytes), f.Pause.Round(time.Millisecond), f.Stop.Round(time.Millisecond),
		f.Final.Took.Round(time.Millisecond), f.Promote.Round(time.Millisecond))
}

func newMoveWatch(io_ stdio) *cobra.Command {
	var o moveOptions
	c := &cobra.Command{
		Use:   "watch MOVE",
		Short: "Show the progress of a move, given by its id or the beginning of it",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			control, move, err := findMove(c.Context(), o.connectOptions, args[0])
			if err != nil {
				return err
			}
			return followMove(c.Context(), o, control, move.ID, io_)
		},
	}
	o.addFlags(c)
	return c
}

func newMoveAbort(io_ stdio) *cobra.Command {
	var o moveOptions
	c := &cobra.Command{
		Use:   "abort MOVE",
		Short: "Give up a move that is not committed; the application stays where it is",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			control, move, err := findMove(c.Context(), o.connectOptions, args[0])
			if err != nil {
				return err
			}
			if _, err := control.AbortMove(c.Context(), move.ID); err != nil {
				return err
			}
			move, err = control.WatchMove(c.Context(), move.ID, func(cluster.Move) {})
			if err != nil {
				return err
			}
			return o.print(io_.out, move, func(w io.Writer) { fmt.Fprintf(w, "%s: %s: %s\n", moveSubject(move), move.Phase, move.Reason) })
		},
	}
	o.addFlags(c)
	return c
}

func newMoveLs(io_ stdio) *cobra.Command {
	var o moveOptions
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the moves, open ones first",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			control, err := o.client()
			if err != nil {
				return err
			}
			moves, err := control.Moves(c.Context())
			if err != nil {
				return err
			}
			nodes, err := control.Nodes(c.Context())
			if err != nil {
				return err
			}
			return o.print(io_.out, moves, func(w io.Writer) {
				(&statusScreen{status: wire.Status{Moves: moves, Nodes: nodes}, w: w}).moves()
			})
		},
	}
	o.addFlags(c)
	return c
}

// findMove returns the one move whose id begins like that.
func findMove(ctx context.Context, o connectOptions, prefix string) (*client.Client, cluster.Move, error) {
	control, err := o.client()
	if err != nil {
		return nil, cluster.Move{}, err
	}
	moves, err := control.Moves(ctx)
	if err != nil {
		return nil, cluster.Move{}, err
	}
	var found []cluster.Move
	for _, m := range moves {
		if len(prefix) > 0 && len(m.ID) >= len(prefix) && string(m.ID[:len(prefix)]) == prefix {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return nil, cluster.Move{}, fmt.Errorf("move %s: %w", prefix, cluster.ErrNotFound)
	case 1:
		return control, found[0], nil
	default:
		return nil, cluster.Move{}, fmt.Errorf("%w: %d moves begin with %s", cluster.ErrInvalid, len(found), prefix)
	}
}

// errChanges makes `drover plan` exit with status 2.
var errChanges = errors.New("there are changes")
