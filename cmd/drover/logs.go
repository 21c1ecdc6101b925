package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
)

type logsOptions struct {
	stdio
	connectOptions
	application string
	follow      bool
}

func (o *logsOptions) addFlags(f *pflag.FlagSet) {
	o.connectOptions.addFlags(f)
	f.BoolVarP(&o.follow, "follow", "f", false, "go on until interrupted")
}

func newLogs(io_ stdio) *cobra.Command {
	o := logsOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "logs APPLICATION",
		Short: "Show what an application has written; with -f, go on as it writes, wherever it moves",
		Long: `Show what an application has written to its output on the node where it runs now. With -f the
command goes on until interrupted. When the application moves, it goes on at the new node with what
is written there, and says so.`,
	}, &o, runLogs, &o.application)
}

func runLogs(ctx context.Context, o logsOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		node, output, err := control.Logs(ctx, cluster.AppName(o.application), o.follow)
		if err != nil {
			return err
		}
		if !first {
			fmt.Fprintf(o.err, "-- now on %s --\n", node)
		}
		_, err = io.Copy(verbatim(o.out), output)
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
