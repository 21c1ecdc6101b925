package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/deploy"
)

type deployOptions struct {
	connectOptions
	outputOptions
	wait    bool
	timeout time.Duration
}

type deployReport struct {
	Changed   bool             `json:"changed"`
	Revision  cluster.Revision `json:"revision"`
	Changes   []string         `json:"changes"`
	Moves     []cluster.Move   `json:"moves,omitempty"`
	Converged bool             `json:"converged"`
}

func newDeploy(io_ stdio) *cobra.Command {
	var o deployOptions
	c := &cobra.Command{
		Use:   "deploy APPLICATION.YML DEPLOYMENT.YML",
		Short: "Make the cluster run what two files say",
		Long: `Make the cluster run the applications of one file on the nodes of another, and wait until it does.
An application that is now under another node moves there with its volume. An application that
has left the files is stopped; its volume keeps its data. The same files again change nothing.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return runDeploy(c.Context(), o, args[0], args[1], io_) },
	}
	o.connectOptions.addFlags(c.Flags())
	o.outputOptions.addFlags(c.Flags())
	c.Flags().BoolVar(&o.wait, "wait", true, "wait until the cluster has converged")
	c.Flags().DurationVar(&o.timeout, "timeout", 0, "wait no longer than this (0: until it has)")
	return c
}

func runDeploy(ctx context.Context, o deployOptions, application, deployment string, io_ stdio) error {
	if err := o.check(); err != nil {
		return err
	}
	files, err := deploy.Read(application, deployment)
	if err != nil {
		return err
	}
	control, err := o.client()
	if err != nil {
		return err
	}
	report, err := apply(ctx, control, files)
	if err != nil {
		return err
	}
	if !o.json() {
		for _, change := range report.Changes {
			fmt.Fprintln(io_.out, change)
		}
	}
	if o.wait {
		if o.timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, o.timeout)
			defer cancel()
		}
		if err := waitConverged(ctx, control, &report, io_.err); err != nil {
			return err
		}
	}
	return o.print(io_.out, report, func(w io.Writer) { printDeployed(w, report) })
}

// apply writes the configuration that the files ask for, from the revision that they were
// compared with. When somebody else was quicker it compares again.
func apply(ctx context.Context, control *client.Client, files *deploy.Files) (deployReport, error) {
	for {
		current, next, changes, err := compare(ctx, control, files)
		if err != nil {
			return deployReport{}, err
		}
		report := deployReport{Revision: current.Revision, Changes: changes}
		if len(changes) == 0 {
			return report, nil
		}
		written, err := control.Configure(ctx, current.Revision, next)
		if errors.Is(err, cluster.ErrStale) {
			continue
		}
		if err != nil {
			return report, err
		}
		report.Changed, report.Revision = written.Changed, written.Revision
		for _, id := range written.Moves {
			report.Moves = append(report.Moves, cluster.Move{ID: id})
		}
		return report, nil
	}
}

// compare returns the present configuration, the one that the files ask for, and the difference
// for people.
func compare(ctx context.Context, control *client.Client, files *deploy.Files) (current wire.ConfigurationDocument, next cluster.Configuration, changes []string, err error) {
	if current, err = control.Configuration(ctx); err != nil {
		return
	}
	statuses, err := control.Nodes(ctx)
	if err != nil {
		return
	}
	nodes := make([]cluster.Node, len(statuses))
	for i, s := range statuses {
		nodes[i] = s.Node
	}
	if next, err = files.Configuration(current.Configuration, nodes); err != nil {
		return
	}
	changes = deploy.Render(deploy.Diff(current.Configuration, next), nodes)
	return
}

// waitConverged shows the moves while it waits. A move that rolled back means that the files are
// not in force, and is an error.
func waitConverged(ctx context.Context, control *client.Client, report *deployReport, w io.Writer) error {
	display := newMoveDisplay(w)
	defer display.close()
	for i, m := range report.Moves {
		move, err := control.WatchMove(ctx, m.ID, display.show)
		if err != nil {
			return cluster.WithHint(err, "the deployment goes on; see it with: drover status")
		}
		report.Moves[i] = move
		if move.Phase == cluster.PhaseRolledBack {
			return fmt.Errorf("%w: %s stays where it was: %s", cluster.ErrRefused, moveSubject(move), move.Reason)
		}
	}
	status, err := control.WaitConverged(ctx, showPending(w))
	if err != nil {
		return cluster.WithHint(fmt.Errorf("wait for the cluster to converge: %w; pending: %v", err, status.Pending),
			"it goes on by itself; see it with: drover status")
	}
	report.Converged = true
	return nil
}

// showPending says what is missing when that has been the same for a second, so that a quick
// deployment is quiet and one that is stuck is not.
func showPending(w io.Writer) func(wire.Status) {
	var last, shown string
	var since time.Time
	return func(s wire.Status) {
		pending := strings.Join(s.Pending, "\n  ")
		if pending != last {
			last, since = pending, time.Now()
		}
		if pending != shown && time.Since(since) > time.Second {
			shown = pending
			fmt.Fprintf(w, "waiting for:\n  %s\n", pending)
		}
	}
}

func printDeployed(w io.Writer, r deployReport) {
	for _, m := range r.Moves {
		if m.Phase.Ended() {
			printMove(w, m)
		}
	}
	switch {
	case !r.Changed:
		fmt.Fprintln(w, "nothing to change")
	case r.Converged:
		fmt.Fprintf(w, "deployed: revision %d\n", r.Revision)
	default:
		fmt.Fprintf(w, "accepted: revision %d; the cluster converges\n", r.Revision)
	}
}
