package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/demo"
	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/internal/workload"
	"github.com/drover/drover/internal/workload/ledger"
	"github.com/drover/drover/internal/workload/postgres"
)

type demoOptions struct {
	localOptions
	outputOptions
	moves, clients, megabytes, seconds int
	database                           string
}

func (o *demoOptions) addFlags(f *pflag.FlagSet) {
	o.localOptions.addFlags(f)
	o.outputOptions.addFlags(f)
	count(f, &o.moves, "moves", 6, 0, "how often the database moves")
	count(f, &o.clients, "clients", 8, 1, "how many clients write")
	count(f, &o.megabytes, "data-mb", 64, 0, "about how many `MB` the database holds")
	count(f, &o.seconds, "seconds", 0, 0, "write for at least this many seconds")
	f.StringVar(&o.database, "database", "", "`DATABASE`: postgres or ledger (default: postgres if it can run here)")
}

func newDemo(io_ stdio) *cobra.Command {
	o := demoOptions{localOptions: localOptions{stdio: io_}}
	return command(&cobra.Command{
		Use:   "demo",
		Short: "Move a database under load around a cluster on this machine, then report",
		Long: `Start a cluster on this machine, deploy a database to its first node, let clients write to it through
the proxy of the third, move it from node to node, and compare everything that was acknowledged
with what is there. Exit status 0 only if nothing is missing and no request failed.`,
	}, &o, runDemo)
}

func runDemo(ctx context.Context, o demoOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	watch := &demoWatch{w: o.err, moves: newMoveDisplay(o.err)}
	watch.Begin("start " + cluster.Count(o.nodes, "node"))
	var report demo.Report
	err := o.with(ctx, func(c *localcluster.Cluster) (err error) {
		report, err = o.run(ctx, c, watch)
		return err
	})
	watch.moves.close()
	if err != nil {
		return err
	}
	if err := o.print(o.out, report, func(w io.Writer) { printReport(w, report) }); err != nil {
		return err
	}
	return report.Err()
}

func (o demoOptions) run(ctx context.Context, c *localcluster.Cluster, watch demo.Watch) (demo.Report, error) {
	database, err := o.choose(c.Binary)
	if err != nil {
		return demo.Report{}, err
	}
	d := &demo.Demo{Cluster: c, Database: database, Moves: o.moves, Clients: o.clients, Megabytes: o.megabytes, Seconds: o.seconds, Watch: watch}
	return d.Run(ctx)
}

// choose returns the database that was asked for, or the best one that can run here.
func (o demoOptions) choose(binary string) (workload.Database, error) {
	unavailable := postgres.Available()
	switch {
	case o.database == "postgres" && unavailable != nil:
		return nil, fmt.Errorf("%w: PostgreSQL cannot run here: %w", cluster.ErrRefused, unavailable)
	case o.database == "postgres", o.database == "" && unavailable == nil:
		return postgres.Database{}, nil
	case o.database == "ledger", o.database == "":
		return ledger.Database{Binary: binary}, nil
	default:
		return nil, fmt.Errorf("%w: --database %q: want postgres or ledger", cluster.ErrInvalid, o.database)
	}
}

func printReport(w io.Writer, r demo.Report) {
	fmt.Fprintln(w)
	table(w, "MOVE\tROUNDS\tPRE-COPIED\tLAST ROUND\tPAUSE\tTIME", func(row func(...any)) {
		for _, m := range r.Details {
			row(m.From+" -> "+m.To, m.Rounds, bytes(m.BytesPrecopied), bytes(m.BytesFinal), fmt.Sprintf("%.0f ms", m.PauseMS),
				fmt.Sprintf("%.1f s", m.Seconds))
		}
	})
	fmt.Fprintf(w, `
%s on %s, %s, %s, %.0f s
  writes acknowledged   %d
  writes lost           %d
  requests failed       %d
  reconnects            %d
  longest pause         %.0f ms
`, r.Database, cluster.Count(r.Nodes, "node"), cluster.Count(r.Moves, "move"), cluster.Count(r.Clients, "client"), r.Seconds,
		r.WritesAcknowledged, r.WritesLost, r.RequestsFailed, r.Reconnects, r.LongestPauseMS)
	for _, e := range r.Errors {
		fmt.Fprintf(w, "  ! %s\n", e)
	}
}

// A demoWatch shows how a demo goes: what it does, and a bar for each move.
type demoWatch struct {
	w     io.Writer
	moves *moveDisplay
	shown time.Time
}

func (d *demoWatch) Begin(what string) { d.moves.line(what) }

func (d *demoWatch) Fill(done, total int64) {
	if done == total || time.Since(d.shown) > time.Second {
		d.shown = time.Now()
		d.moves.line(fmt.Sprintf("  %s of %s", bytes(done), bytes(total)))
	}
}

func (d *demoWatch) Move(m cluster.Move) { d.moves.show(m) }

func (d *demoWatch) Moved(m demo.MoveReport) {
	d.moves.line(fmt.Sprintf("  %s, %s pre-copied, %s in the last round; the longest that a client waited: %.0f ms",
		cluster.Count(m.Rounds, "round"), bytes(m.BytesPrecopied), bytes(m.BytesFinal), m.PauseMS))
}
