package main

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/control/wire"
)

type versionReport struct {
	Version string        `json:"version"`
	Go      string        `json:"go"`
	Control *wire.Version `json:"control,omitempty"`
}

type versionOptions struct {
	remoteOptions
	remote bool
}

func (o *versionOptions) addFlags(f *pflag.FlagSet) {
	o.remoteOptions.addFlags(f)
	f.BoolVar(&o.remote, "remote", false, "ask the control service too")
}

func newVersion(io_ stdio) *cobra.Command {
	o := versionOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{Use: "version", Short: "Show the version of this program, and with --remote that of the control service"}, &o, runVersion)
}

func runVersion(ctx context.Context, o versionOptions) error {
	report := versionReport{Version: version, Go: runtime.Version()}
	if o.remote {
		control, err := o.client()
		if err != nil {
			return err
		}
		v, err := control.Version(ctx)
		if err != nil {
			return err
		}
		report.Control = &v
	}
	return o.print(o.out, report, func(w io.Writer) {
		fmt.Fprintf(w, "drover %s (%s)\n", report.Version, report.Go)
		if report.Control != nil {
			fmt.Fprintf(w, "control service %s of cluster %s\n", report.Control.Version, report.Control.Cluster)
		}
	})
}
