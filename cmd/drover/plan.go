package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/deploy"
)

type planOptions struct {
	remoteOptions
	application, deployment string
}

type planReport struct {
	Changes []string           `json:"changes"`
	Steps   []wire.PlannedStep `json:"steps"`
}

func newPlan(io_ stdio) *cobra.Command {
	o := planOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{
		Use:   "plan APPLICATION.YML DEPLOYMENT.YML",
		Short: "Show what a deploy of two files would do, step by step; change nothing",
		Long: `Show what a deploy of two files would do, step by step with reasons, and change nothing. Exit status 0:
there is nothing to do; 2: there are changes.`,
	}, &o, runPlan, &o.application, &o.deployment)
}

func runPlan(ctx context.Context, o planOptions) error {
	files, err := deploy.Read(o.application, o.deployment)
	if err != nil {
		return err
	}
	control, err := o.client()
	if err != nil {
		return err
	}
	_, next, changes, err := compare(ctx, control, files)
	if err != nil {
		return err
	}
	report := planReport{Changes: changes, Steps: []wire.PlannedStep{}}
	if len(changes) > 0 {
		if report.Steps, err = control.Preview(ctx, next); err != nil {
			return err
		}
	}
	if err := o.print(o.out, report, func(w io.Writer) { printPlan(w, report) }); err != nil {
		return err
	}
	if len(changes) > 0 {
		return errChanges
	}
	return nil
}

func printPlan(w io.Writer, r planReport) {
	if len(r.Changes) == 0 {
		fmt.Fprintln(w, "nothing to change")
		return
	}
	for _, change := range r.Changes {
		fmt.Fprintln(w, change)
	}
	if len(r.Steps) == 0 {
		return
	}
	fmt.Fprintln(w)
	table(w, "NODE\tSTEP\tOF\tREASON", func(row func(...any)) {
		for _, s := range r.Steps {
			row(s.Node, s.Kind, s.Subject, s.Reason)
		}
	})
}
