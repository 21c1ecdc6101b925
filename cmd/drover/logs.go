package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
)

type logsOptions struct {
	connectOptions
	follow bool
}

func newLogs(io_ stdio) *cobra.Command {
	var o logsOptions
	c := &cobra.Command{
		Use:   "logs APPLICATION",
		Short: "Show what an application has written; with -f, go on as it writes, wherever it moves",
		Long: `Show what an application has written to its output on the node where it runs now. With -f the
command goes on until interrupted. When the application moves, it goes on at the new node with what
is written there, and says so.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return runLogs(c.Context(), o, cluster.AppName(args[0]), io_)
		},
	}
	o.connectOptions.addFlags(c.Flags())
	c.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on until interrupted")
	return c
}

func runLogs(ctx context.Context, o logsOptions, app cluster.AppName, io_ stdio) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		node, output, err := control.Logs(ctx, app, o.follow)
		if err != nil {
			return err
		}
		if !first {
			fmt.Fprintf(io_.err, "-- now on %s --\n", node)
		}
		_, err = io.Copy(io_.out, output)
		if err = errors.Join(err, output.Close()); err != nil || !o.follow {
			return err
		}
		// An instance that is replaced again and again must not keep the service busy.
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
