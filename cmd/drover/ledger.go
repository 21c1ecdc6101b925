package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/drover/drover/internal/ledger"
)

// newLedger is the small database of the demo: an application like any other, which is told by
// its environment where to listen and where its volume is.
func newLedger() *cobra.Command {
	return &cobra.Command{
		Use:    "ledger",
		Short:  "Run the demo's ledger server on a volume",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := ledger.FromEnvironment(os.Getenv)
			if err != nil {
				return err
			}
			return ledger.Serve(c.Context(), config, slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)))
		},
	}
}
