// Command mutants plants bugs, one after the other, and looks whether the tests notice: what no test
// notices, nobody would.
//
//	go run ./test/mutants                     all of them: list.go
//	go run ./test/mutants -only abort-is-late one
//	go run ./test/mutants -seeds 1000         with more seeds of the simulated cluster
//
// The tree stays as it is: each bug has a copy of its own. It is caught when a unit test of its package, or of
// the one that uses that, fails, or a seed of test/sim. One that does not compile is a fault of the list, and
// no linter is asked. First of all the same tests must pass without any bug.
//
// Run it from the top of the tree.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	only := flag.String("only", "", "the names of those to plant, separated by commas: all")
	seeds := flag.Int("seeds", 300, "how many seeds of the simulated cluster are tried")
	atOnce := flag.Int("at-once", 2, "how many are tried at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, chosen(*only), *seeds, *atOnce); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1)
	}
}

// chosen returns the mutants of those names, all for none.
func chosen(names string) []mutant {
	if names == "" {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(m mutant) bool { return !slices.Contains(strings.Split(names, ","), m.name) })
}

func run(ctx context.Context, mutants []mutant, seeds, atOnce int) error {
	if len(mutants) == 0 {
		return fmt.Errorf("nothing has that name")
	}
	var packages []string
	for _, m := range mutants {
		packages = append(packages, m.packages()...)
	}
	slices.Sort(packages)
	began := time.Now()
	by, err := inCopy(func(dir string) (string, error) { return trial{dir, slices.Compact(packages), seeds}.run(ctx) })
	if by != "" {
		err = errors.New(by)
	}
	if err != nil {
		return fmt.Errorf("without any bug: %w", err)
	}
	fmt.Printf("without any bug all tests pass, in %s\n", time.Since(began).Round(time.Second))

	var mu sync.Mutex
	var group sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	caught, faults := 0, 0
	for _, m := range mutants {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			began := time.Now()
			by, err := try(ctx, m, seeds)
			mu.Lock()
			defer mu.Unlock()
			verdict := "caught"
			switch {
			case err != nil:
				verdict, by = "FAULT", err.Error()
				faults++
			case by == "":
				verdict, by = "SURVIVED", m.breaks
			default:
				caught++
			}
			fmt.Printf("%-8s  %-7s  %-28s  %4.0fs  %s\n", verdict, m.area, m.name, time.Since(began).Seconds(), by)
		})
	}
	group.Wait()
	fmt.Printf("%d of %d caught\n", caught, len(mutants))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case faults > 0:
		return fmt.Errorf("the list does not fit the source")
	case caught*10 < len(mutants)*9:
		return fmt.Errorf("too few are caught: want nine of ten")
	}
	return nil
}

// try plants a mutant in a copy of the tree, and says what catches it; empty: nothing.
func try(ctx context.Context, m mutant, seeds int) (by string, err error) {
	return inCopy(func(dir string) (string, error) {
		text, err := m.plant(dir)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, m.file), []byte(text), 0o600)
		}
		if err != nil {
			return "", err
		}
		return trial{dir, m.packages(), seeds}.run(ctx)
	})
}

func inCopy(do func(dir string) (string, error)) (string, error) {
	dir, err := os.MkdirTemp("", "drover-mutants-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(dir); err != nil {
		return "", err
	}
	return do(dir)
}
