package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type sandboxOptions struct{ stdio }

func (*sandboxOptions) addFlags(*pflag.FlagSet) {}

// newSandbox is the program of the containers that hold an application's network: it waits.
func newSandbox(io_ stdio) *cobra.Command {
	return command(&cobra.Command{Use: "sandbox", Short: "Hold the network of an application until it is ended", Hidden: true},
		&sandboxOptions{io_}, runSandbox)
}

func runSandbox(ctx context.Context, _ sandboxOptions) error {
	<-ctx.Done()
	return nil
}
