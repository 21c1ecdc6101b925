package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/deploy"
)

type deployOptions struct {
	waitingOptions
	follow                  bool
	application, deployment string
}

func (o *deployOptions) addFlags(f *pflag.FlagSet) {
	o.waitingOptions.addFlags(f)
	f.BoolVar(&o.follow, "wait", true, "wait until what the files change is so")
}

type deployReport struct {
	Changed   bool             `json:"changed"`
	Revision  cluster.Revision `json:"revision"`
	Changes   []string         `json:"changes"`
	Moves     []cluster.Move   `json:"moves,omitempty"`
	Converged bool             `json:"converged"`

	subjects wire.Subjects // what is waited for; none: everything
}

func newDeploy(io_ stdio) *cobra.Command {
	o := deployOptions{waitingOptions: waiting(io_)}
	return command(&cobra.Command{
		Use:   "deploy APPLICATION.YML DEPLOYMENT.YML",
		Short: "Make the cluster run what two files say",
		Long: `Make the cluster run the applications of one file on the nodes of another, and wait until it does.
An application that is now under another node moves there with its volume. An application that
has left the files is stopped; its volume keeps its data. The same files again change nothing.`,
	}, &o, runDeploy, &o.application, &o.deployment)
}

func runDeploy(ctx context.Context, o deployOptions) error {
	files, err := deploy.Read(o.application, o.deployment)
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
			fmt.Fprintln(o.out, change)
		}
	}
	if o.follow {
		err := o.wait(ctx, "the deployment goes on", "", func(ctx context.Context) error {
			return waitConverged(ctx, control, &report, o.err)
		})
		if err != nil {
			return cluster.WithHint(err, cmp.Or(cluster.Hint(err), deployHint(report.Moves)))
		}
	}
	return o.print(o.out, report, func(w io.Writer) { printDeployed(w, report) })
}

// deployHint says what can be done about a deployment that nobody waits for any more.
func deployHint(moves []cluster.Move) string {
	hint := "see it with: drover status"
	for _, m := range moves {
		switch {
		case m.Phase.Ended():
		case m.Phase.Committed() || m.Aborting:
			hint += "; watch a move with: drover move watch " + short(m.ID)
		default:
			hint += fmt.Sprintf("; watch or give up a move with: drover move watch %[1]s, drover move abort %[1]s", short(m.ID))
		}
	}
	return hint
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
		written, err := control.Change(ctx, current, next)
		if errors.Is(err, cluster.ErrStale) {
			continue
		}
		if err != nil {
			return report, err
		}
		report.Changed, report.Revision = written.Changed, written.Revision
		report.subjects = changed(current.Configuration, next)
		for _, id := range written.Moves {
			report.Moves = append(report.Moves, cluster.Move{ID: id})
		}
		return report, nil
	}
}

// mostSubjects is from how many changes on a deploy waits for everything.
const mostSubjects = 50

// changed returns what differs between two configurations, with the nodes that it leaves or goes to.
func changed(current, next cluster.Configuration) wire.Subjects {
	var of wire.Subjects
	changes := deploy.Diff(current, next)
	if len(changes) > mostSubjects {
		return of
	}
	for _, c := range changes {
		if c.Application != "" {
			of.Applications = append(of.Applications, c.Application)
		}
		if c.Volume != "" {
			of.Volumes = append(of.Volumes, string(c.Volume))
		}
		for _, node := range []cluster.NodeID{c.From, c.To} {
			if node != "" {
				of.Nodes = append(of.Nodes, string(node))
			}
		}
	}
	return of
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
// not in force, and is an error. Neither a move nor anything else is waited for that only a node could end that
// is gone.
func waitConverged(ctx context.Context, control *client.Client, report *deployReport, w io.Writer) error {
	display := newMoveDisplay(w)
	defer display.close()
	patient, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	if len(report.Moves) > 0 {
		go func() { giveUp(control.WaitStuck(patient, report.subjects)) }()
	}
	for i, m := range report.Moves {
		move, err := control.WatchMove(patient, m.ID, func(m cluster.Move) { report.Moves[i] = m; display.show(m) })
		if stuck := context.Cause(patient); stuck != nil && ctx.Err() == nil {
			return stuck
		}
		if err != nil {
			return err
		}
		report.Moves[i] = move
		if move.Phase == cluster.PhaseRolledBack {
			return fmt.Errorf("%w: %s stays where it was: %s", cluster.ErrRefused, moveSubject(move), inLine(move.Reason))
		}
	}
	pending := &pendingDisplay{w: w}
	missing, err := control.WaitFor(ctx, report.subjects, pending.show)
	if err != nil {
		pending.say(missing)
		return err
	}
	report.Converged = true
	return nil
}

// A pendingDisplay says what is missing when that has been the same for a second, so that a quick
// deployment is quiet and one that is stuck is not.
type pendingDisplay struct {
	w           io.Writer
	last, shown string
	since       time.Time
}

func (d *pendingDisplay) show(s wire.Missing) {
	if pending := pendingText(s); pending != d.last {
		d.last, d.since = pending, time.Now()
	}
	if time.Since(d.since) > time.Second {
		d.say(s)
	}
}

// say says what is missing, unless that is what it has said last.
func (d *pendingDisplay) say(s wire.Missing) {
	if pending := pendingText(s); pending != "" && pending != d.shown {
		d.shown = pending
		fmt.Fprintf(d.w, "waiting for:\n%s", pending)
	}
}

// pendingText is what is missing until the cluster has converged, a line each.
func pendingText(s wire.Missing) string {
	var b strings.Builder
	for _, sentence := range s.Pending {
		fmt.Fprintf(&b, "  %s\n", inLine(sentence))
	}
	return b.String()
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
