// Command drover moves stateful applications, with their data, between hosts while clients stay
// connected. `drover help` lists its roles and commands; each has a file of its own here that
// parses, calls and prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
)

// version is set by the build.
var version = "0.1.0-dev"

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(exitCode(err))
}

// run executes one command line and prints its error, if any, with its hint.
func run(ctx context.Context, args []string, io stdio) error {
	root := newRoot(io)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errChanges) {
		fmt.Fprintf(io.err, "drover: %v\n", err)
		if hint := cluster.Hint(err); hint != "" {
			fmt.Fprintf(io.err, "hint: %s\n", hint)
		}
	}
	return err
}

// Exit codes. Scripts rely on them.
//
//	0  it worked; for plan: there is nothing to do
//	1  it did not work
//	2  for plan: there are changes
//	3  the input is not valid, and trying again will not help
//	4  the control service cannot be reached, or the wait timed out
//	130 interrupted
func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errChanges):
		return 2
	case errors.Is(err, context.Canceled):
		return 130
	case errors.Is(err, cluster.ErrInvalid), errors.Is(err, cluster.ErrNotFound), errors.Is(err, cluster.ErrUnsupported):
		return 3
	case errors.Is(err, cluster.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return 4
	default:
		return 1
	}
}

func newRoot(io stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "drover",
		Short: "Move stateful applications, with their data, between hosts while clients stay connected",
		Long: `Drover moves stateful applications, with their data, between hosts while clients stay connected.

Try it:            drover demo
Keep a cluster:    drover dev
Then:              drover deploy application.yml deployment.yml`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.AddGroup(&cobra.Group{ID: "try", Title: "Try it:"}, &cobra.Group{ID: "use", Title: "Use a cluster:"},
		&cobra.Group{ID: "role", Title: "Run a cluster:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("try", newDemo(io), newDev(io))
	add("use", newDeploy(io), newPlan(io), newStatus(io), newMove(io), newVolume(io), newNode(io), newKey(io), newLogs(io), newEvents(io))
	add("role", newControl(io), newAgent(io), newPlugin(io), newProxy(io))
	root.AddCommand(newVersion(io), newLedger(), newSandbox())
	return root
}
