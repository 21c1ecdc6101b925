package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/internal/workload/ledger"
)

// ledgerOptions are none: an application is told by its environment.
type ledgerOptions struct{ stdio }

func (*ledgerOptions) addFlags(*pflag.FlagSet) {}

// newLedger is the small database of the demo: an application like any other, which is told by
// its environment where to listen and where its volume is.
func newLedger(io_ stdio) *cobra.Command {
	return command(&cobra.Command{Use: "ledger", Short: "Run the demo's ledger server on a volume", Hidden: true}, &ledgerOptions{io_}, runLedger)
}

func runLedger(ctx context.Context, o ledgerOptions) error {
	config, err := ledger.FromEnvironment(os.Getenv)
	if err != nil {
		return err
	}
	return ledger.Serve(ctx, config, slog.New(slog.NewTextHandler(o.err, nil)))
}
