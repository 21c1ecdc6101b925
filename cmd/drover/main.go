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
	io.out, io.err = &printable{w: io.out}, &printable{w: io.err}
	root := newRoot(io)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errChanges) {
		fmt.Fprintf(io.err, "drover: %s\n", said(ctx, err))
		if hint := cluster.Hint(err); hint != "" {
			fmt.Fprintf(io.err, "hint: %s\n", hint)
		}
	}
	return err
}

// said is what people are told of an error. Who interrupts a command knows that, and not which of its
// requests it was in.
func said(ctx context.Context, err error) string {
	if waited := (*notWaiting)(nil); ctx.Err() != nil && errors.Is(err, ctx.Err()) && !errors.As(err, &waited) {
		return "interrupted"
	}
	return cluster.Message(err)
}

func newRoot(io stdio) *cobra.Command {
	root := group(&cobra.Command{
		Use:   "drover",
		Short: "Move stateful applications, with their data, between hosts while clients stay connected",
		Long: `Drover moves stateful applications, with their data, between hosts while clients stay connected.

Try it:            drover demo
Keep a cluster:    drover dev
Then:              drover deploy application.yml deployment.yml`,
		SilenceErrors: true,
		SilenceUsage:  true,
	})
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetHelpTemplate(root.HelpTemplate() + exitCodes)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return cluster.WithHint(fmt.Errorf("%w: %w", cluster.ErrInvalid, err), "its flags are listed by: "+c.CommandPath()+" --help")
	})
	root.AddGroup(&cobra.Group{ID: "try", Title: "Try it:"}, &cobra.Group{ID: "use", Title: "Use a cluster:"},
		&cobra.Group{ID: "role", Title: "Run a cluster:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("try", newDemo(io), newDev(io))
	add("use", newDeploy(io), newPlan(io), newStatus(io), newMove(io), newVolume(io), newSnapshot(io), newNode(io), newUser(io), newKey(io), newLogs(io), newEvents(io))
	add("role", newControl(io), newAgent(io), newPlugin(io), newProxy(io))
	root.AddCommand(newVersion(io), newLedger(io), newSandbox(io))
	return root
}
