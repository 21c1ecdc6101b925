// Command bench measures Drover beside its peers: what it does, and what a well-known tool or
// the bare floor does in the same run on the same machine. It prints a table and leaves
// bench.json. Stats of one run compare with each other; figures of two runs do not.
//
//	make bench
//	go run ./test/bench -only proxy,transfer -rounds 5
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

// A benchmark measures one subject and returns a result per figure.
type benchmark struct {
	name string
	run  func(ctx context.Context, o options) ([]result, error)
}

// benchmarks are all there are, in the order of the table.
var benchmarks = []benchmark{
	{"move", benchMove},
	{"btrfs", benchBtrfs},
	{"hosts", benchHosts},
	{"plugin", benchPlugin},
	{"dir", benchDir},
	{"between-kinds", benchKinds},
	{"scale-files", benchScale},
	{"transfer", benchTransfer},
	{"proxy", benchProxy},
}

type options struct {
	// rounds is how often each side is measured, in turn; the median counts.
	rounds int
	// dir is a scratch directory.
	dir string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == serveProxy {
		os.Exit(proxyProcess(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == scaleProcess {
		os.Exit(oneSide(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == guestProcess {
		os.Exit(inGuest(os.Args[2:]))
	}
	only := flag.String("only", "", "comma-separated subjects to measure (default: all)")
	rounds := flag.Int("rounds", 5, "how often each side is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, rounds int) error {
	dir, err := os.MkdirTemp("", "drover-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var results []result
	var failed error
	for _, b := range benchmarks {
		if only != "" && !slices.Contains(strings.Split(only, ","), b.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s ...\n", b.name)
		more, err := b.run(ctx, options{rounds: rounds, dir: dir})
		if err != nil {
			// What was measured before, and what can be measured still, is told all the same.
			failed = errors.Join(failed, fmt.Errorf("%s: %w", b.name, err))
			fmt.Fprintln(os.Stderr, "bench:", b.name+":", err)
		}
		if ctx.Err() != nil {
			break
		}
		results = append(results, more...)
	}
	printTable(os.Stdout, results)
	return errors.Join(failed, writeJSON("bench.json", results))
}
