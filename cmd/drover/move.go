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

type moveOptions struct {
	waitingOptions
	follow            bool
	application, node string
}

func (o *moveOptions) addFlags(f *pflag.FlagSet) {
	o.waitingOptions.addFlags(f)
	f.BoolVar(&o.follow, "wait", true, "wait until the move has ended")
}

func newMove(io_ stdio) *cobra.Command {
	o := moveOptions{waitingOptions: waiting(io_)}
	c := command(&cobra.Command{
		Use:   "move APPLICATION NODE",
		Short: "Move an application with its volume to another node",
		Long: `Move an application with its volume to another node, given by name, address or id. The command shows
the progress and ends with the move. Interrupting it does not stop the move: watch it again with
"drover move watch", and stop it with "drover move abort".`,
	}, &o, runMove, &o.application, &o.node)
	c.AddCommand(newMoveWatch(io_), newMoveAbort(io_), newMoveLs(io_))
	return c
}

func runMove(ctx context.Context, o moveOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	move, err := control.RequestMove(ctx, wire.MoveRequest{Application: cluster.AppName(o.application), To: o.node})
	if err != nil {
		return err
	}
	if o.follow && move.ID == "" && move.From != move.To {
		return followPlacement(ctx, o, control, move)
	}
	if !o.follow || move.Phase.Ended() {
		return o.print(o.out, move, func(w io.Writer) { fmt.Fprintf(w, "move %s: %s\n", dash(move.ID), move.Phase) })
	}
	return followMove(ctx, o.waitingOptions, control, move)
}

// followPlacement waits until an application that moves without a move serves where it is placed: until then it
// runs on where it was.
func followPlacement(ctx context.Context, o moveOptions, control *client.Client, move cluster.Move) error {
	pending := &pendingDisplay{w: o.err}
	goesOn := fmt.Sprintf("%s runs on where it is until it serves there (%s)", move.Application, inLine(move.Reason))
	err := o.wait(ctx, goesOn, "what stands in its way says: drover status", func(ctx context.Context) error {
		status, err := control.WaitServing(ctx, move.Application, move.To, func(s wire.Status) { pending.show(s.Missing()) })
		if err != nil {
			pending.say(status.Missing())
		}
		return err
	})
	if err != nil {
		return err
	}
	return o.print(o.out, move, func(w io.Writer) { fmt.Fprintf(w, "%s: %s: %s\n", moveSubject(move), move.Phase, inLine(move.Reason)) })
}

// followMove shows a move until it has ended, then its figures.
func followMove(ctx context.Context, o waitingOptions, control *client.Client, move cluster.Move) error {
	display := newMoveDisplay(o.err)
	move, err := watchMove(ctx, o.waitOptions, control, move, display.show)
	display.close()
	if err != nil {
		return err
	}
	if err := o.print(o.out, move, func(w io.Writer) { printMove(w, move) }); err != nil {
		return err
	}
	if move.Phase == cluster.PhaseRolledBack {
		return fmt.Errorf("%w: %s stays on its node: %s", cluster.ErrRefused, moveSubject(move), inLine(move.Reason))
	}
	return nil
}

// watchMove waits until a move has ended.
func watchMove(ctx context.Context, o waitOptions, control *client.Client, move cluster.Move, see func(cluster.Move)) (cluster.Move, error) {
	newest := move
	err := o.wait(ctx, fmt.Sprintf("the move of %s goes on", moveSubject(move)), "", func(ctx context.Context) (err error) {
		move, err = control.WatchMove(ctx, move.ID, func(m cluster.Move) { newest = m; see(m) })
		return err
	})
	return move, cluster.WithHint(err, moveHint(newest))
}

// moveHint says what can be done about a move that nobody waits for any more: it cannot be given up
// once it is committed.
func moveHint(m cluster.Move) string {
	watch := "watch it with: drover move watch " + short(m.ID)
	if m.Phase.Committed() || m.Aborting {
		return watch + "; what stands in its way says: drover status"
	}
	return watch + "; give it up with: drover move abort " + short(m.ID)
}

func printMove(w io.Writer, m cluster.Move) {
	f := m.Stats
	fmt.Fprintf(w, "%s: %s in %s; %s, %s pre-copied, %s in the last round, pause %s (stop %s, last round %s, promote %s)\n",
		moveSubject(m), m.Phase, m.Ended.Sub(m.Requested).Round(10*time.Millisecond), cluster.Count(len(f.Rounds), "round"), bytes(f.PrecopiedBytes()),
		bytes(f.Final.Bytes), f.Pause.Round(time.Millisecond), f.Stop.Round(time.Millisecond),
		f.Final.Took.Round(time.Millisecond), f.Promote.Round(time.Millisecond))
	if f.ImageBytes > 0 {
		fmt.Fprintf(w, "%s: %s of the image besides\n", moveSubject(m), bytes(f.ImageBytes))
	}
	if f.Accepted != "" {
		fmt.Fprintf(w, "%s: no proof: %s\n", moveSubject(m), inLine(f.Accepted))
	}
	if f.Proof != "" && m.Phase == cluster.PhaseDone { // of one that was rolled back the target has nothing that counts
		fmt.Fprintf(w, "%s: proof that both copies are equal: %s\n", moveSubject(m), f.Proof)
	}
}

type moveWatchOptions struct {
	waitingOptions
	move string
}

func newMoveWatch(io_ stdio) *cobra.Command {
	o := moveWatchOptions{waitingOptions: waiting(io_)}
	return command(&cobra.Command{Use: "watch MOVE", Short: "Show the progress of a move, given by its application, its volume, or the beginning of its id"},
		&o, runMoveWatch, &o.move)
}

func runMoveWatch(ctx context.Context, o moveWatchOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	move, err := findMove(ctx, control, o.move)
	if err != nil {
		return err
	}
	return followMove(ctx, o.waitingOptions, control, move)
}

type moveAbortOptions struct {
	waitingOptions
	move string
}

func newMoveAbort(io_ stdio) *cobra.Command {
	o := moveAbortOptions{waitingOptions: waiting(io_)}
	return command(&cobra.Command{Use: "abort MOVE", Short: "Give up a move that is not committed; the application stays where it is",
		Long: `Give up a move that is not committed, given by its application, its volume, or the beginning of its id. The
application stays where it is.`}, &o, runMoveAbort, &o.move)
}

func runMoveAbort(ctx context.Context, o moveAbortOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	move, err := findMove(ctx, control, o.move)
	if err != nil {
		return err
	}
	if _, err := control.AbortMove(ctx, move.ID); err != nil {
		return err
	}
	move, err = watchMove(ctx, o.waitOptions, control, move, func(cluster.Move) {})
	if err != nil {
		return err
	}
	return o.print(o.out, move, func(w io.Writer) { fmt.Fprintf(w, "%s: %s: %s\n", moveSubject(move), move.Phase, inLine(move.Reason)) })
}

// findMove returns the open move of an application or a volume of that name, or else the one move whose id
// begins like that.
func findMove(ctx context.Context, control *client.Client, name string) (cluster.Move, error) {
	moves, err := control.Moves(ctx)
	if err != nil {
		return cluster.Move{}, err
	}
	return moveNamed(moves, name)
}

func moveNamed(moves []cluster.Move, name string) (cluster.Move, error) {
	var found []cluster.Move
	for _, m := range moves {
		if !m.Phase.Ended() && slices.Contains([]string{string(m.Application), m.Name, string(m.Volume)}, name) {
			return m, nil
		}
		if name != "" && strings.HasPrefix(string(m.ID), name) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		err := fmt.Errorf("move %s: %w: no application or volume of that name is moving, and no move has an id that begins so", name, cluster.ErrNotFound)
		return cluster.Move{}, cluster.WithHint(err, "drover move ls lists the moves")
	case 1:
		return found[0], nil
	default:
		return cluster.Move{}, fmt.Errorf("%w: the ids of %s begin with %s", cluster.ErrInvalid, cluster.Count(len(found), "move"), name)
	}
}
