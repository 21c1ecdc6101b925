package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
)

// outputOptions choose between text for people and JSON for programs.
type outputOptions struct{ format string }

func (o *outputOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.format, "output", "o", "text", "`FORMAT` of the output: text or json")
}

func (o *outputOptions) check() error {
	if o.format != "text" && o.format != "json" {
		return fmt.Errorf("%w: output format %q: want text or json", cluster.ErrInvalid, o.format)
	}
	return nil
}

func (o *outputOptions) json() bool { return o.format == "json" }

// print writes v as JSON, or calls text.
func (o *outputOptions) print(w io.Writer, v any, text func(io.Writer)) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.json() {
		return writeJSON(w, v, "  ")
	}
	text(w)
	return nil
}

// writeJSON writes a value for programs, and a line's end.
func writeJSON(w io.Writer, v any, indent string) error {
	text, err := json.MarshalIndent(v, "", indent)
	if indent == "" {
		text, err = json.Marshal(v)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, durationsAsText(string(text), reflect.TypeOf(v)))
	return err
}

// table writes rows in aligned columns.
func table(w io.Writer, header string, rows func(row func(columns ...any))) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, header)
	rows(func(columns ...any) {
		for i, c := range columns {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, inLine(fmt.Sprint(c)))
		}
		fmt.Fprintln(t)
	})
	t.Flush()
}

func bytes(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// ago says how long since t, or "never".
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return time.Since(t).Round(time.Second).String() + " ago"
}

// dash stands for nothing in a table.
func dash[T ~string](s T) string {
	if s == "" {
		return "-"
	}
	return string(s)
}
