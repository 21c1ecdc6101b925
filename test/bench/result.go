package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// A result is one figure of ours beside one of a peer or a floor.
type result struct {
	Name         string  `json:"name"`
	Value        float64 `json:"value"`
	Unit         string  `json:"unit"`
	Against      string  `json:"against"`
	AgainstValue float64 `json:"against_value"`
	// Ratio is Value / AgainstValue.
	Ratio float64 `json:"ratio"`
	// Goal is what the ratio should be, such as ">= 1.25"; empty when there is none.
	Goal string `json:"goal,omitempty"`
}

// compare makes a result of the medians of two series that were measured in turn.
func compare(name, unit string, ours []float64, against string, theirs []float64, g goal) result {
	r := result{Name: name, Value: median(ours), Unit: unit, Against: against, AgainstValue: median(theirs), Goal: g.String()}
	if r.AgainstValue != 0 {
		r.Ratio = r.Value / r.AgainstValue
	}
	return r
}

// A goal bounds a ratio from one side; the zero goal bounds nothing.
type goal struct {
	atLeast, atMost float64
}

func (g goal) String() string {
	switch {
	case g.atLeast > 0:
		return fmt.Sprintf(">= %.2f", g.atLeast)
	case g.atMost > 0:
		return fmt.Sprintf("<= %.2f", g.atMost)
	default:
		return ""
	}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func printTable(w io.Writer, results []result) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIGURE\tDROVER\tUNIT\tBESIDE\tTHEIRS\tRATIO\tGOAL")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%.4g\t%s\t%s\t%.4g\t%.2f\t%s\n", r.Name, r.Value, r.Unit, r.Against, r.AgainstValue, r.Ratio, r.Goal)
	}
	t.Flush()
}

func writeJSON(path string, results []result) error {
	b, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
