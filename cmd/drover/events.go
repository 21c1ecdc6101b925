package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
)

type eventsOptions struct {
	remoteOptions
	follow bool
}

func (o *eventsOptions) addFlags(f *pflag.FlagSet) {
	o.remoteOptions.addFlags(f)
	f.BoolVarP(&o.follow, "follow", "f", false, "go on until interrupted; one JSON object per line with -o json")
}

func newEvents(io_ stdio) *cobra.Command {
	o := eventsOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{Use: "events", Short: "Show what has happened; with -f, go on as it happens"}, &o, runEvents)
}

func runEvents(ctx context.Context, o eventsOptions) error {
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
		events, err := control.Events(ctx, since, wait)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			since = events[len(events)-1].ID
		}
		if !o.follow {
			return o.print(o.out, events, func(w io.Writer) { printEvents(w, events) })
		}
		if !o.json() {
			printEvents(o.out, events)
			continue
		}
		for _, e := range events {
			if err := writeJSON(o.out, e, ""); err != nil {
				return err
			}
		}
	}
}

func printEvents(w io.Writer, events []cluster.Event) {
	for _, e := range events {
		fmt.Fprintf(w, "%s  %-12s %s\n", e.Time.Local().Format(time.DateTime), inLine(e.Kind), inLine(e.Message))
	}
}
