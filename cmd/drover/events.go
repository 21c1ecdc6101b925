package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
)

type eventsOptions struct {
	connectOptions
	outputOptions
	follow bool
}

func newEvents(io_ stdio) *cobra.Command {
	var o eventsOptions
	c := &cobra.Command{
		Use:   "events",
		Short: "Show what has happened; with -f, go on as it happens",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runEvents(c, o, io_.out) },
	}
	o.connectOptions.addFlags(c.Flags())
	o.outputOptions.addFlags(c.Flags())
	c.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on until interrupted; one JSON object per line with -o json")
	return c
}

func runEvents(c *cobra.Command, o eventsOptions, w io.Writer) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	var since uint64
	for first := true; ; first = false {
		wait := 30 * time.Second
		if first {
			wait = 0
		}
		events, err := control.Events(c.Context(), since, wait)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			since = events[len(events)-1].ID
		}
		if !o.follow {
			return o.print(w, events, func(w io.Writer) { printEvents(w, events) })
		}
		if !o.json() {
			printEvents(w, events)
			continue
		}
		for _, e := range events {
			if err := json.NewEncoder(w).Encode(e); err != nil {
				return err
			}
		}
	}
}

func printEvents(w io.Writer, events []cluster.Event) {
	for _, e := range events {
		fmt.Fprintf(w, "%s  %-12s %s\n", e.Time.Local().Format(time.DateTime), e.Kind, e.Message)
	}
}
