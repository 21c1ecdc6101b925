package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/drover/drover/control/wire"
)

type versionReport struct {
	Version string        `json:"version"`
	Go      string        `json:"go"`
	Control *wire.Version `json:"control,omitempty"`
}

func newVersion(io_ stdio) *cobra.Command {
	var connect connectOptions
	var output outputOptions
	var remote bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program, and with --remote that of the control service",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			report := versionReport{Version: version, Go: runtime.Version()}
			if remote {
				control, err := connect.client()
				if err != nil {
					return err
				}
				v, err := control.Version(c.Context())
				if err != nil {
					return err
				}
				report.Control = &v
			}
			return output.print(io_.out, report, func(w io.Writer) {
				fmt.Fprintf(w, "drover %s (%s)\n", report.Version, report.Go)
				if report.Control != nil {
					fmt.Fprintf(w, "control service %s of cluster %s\n", report.Control.Version, report.Control.Cluster)
				}
			})
		},
	}
	connect.addFlags(c.Flags())
	output.addFlags(c.Flags())
	c.Flags().BoolVar(&remote, "remote", false, "ask the control service too")
	return c
}
