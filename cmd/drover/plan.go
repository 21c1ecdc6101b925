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
	connectOptions
	outputOptions
}

type planReport struct {
	Changes []string           `json:"changes"`
	Steps   []wire.PlannedStep `json:"steps"`
}

func newPlan(io_ stdio) *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan APPLICATION.YML DEPLOYMENT.YML",
		Short: "Show what a deploy of two files would do, step by step; change nothing",
		Long: `Show what a deploy of two files would do, step by step with reasons, and change nothing. Exit status 0:
there is nothing to do; 2: there are changes.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return runPlan(c.Context(), o, args[0], args[1], io_.out) },
	}
	o.connectOptions.addFlags(c.Flags())
	o.outputOptions.addFlags(c.Flags())
	return c
}

func runPlan(ctx context.Context, o planOptions, application, deployment string, w io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	files, err := deploy.Read(application, deployment)
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
	if err := o.print(w, report, func(w io.Writer) { printPlan(w, report) }); err != nil {
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
