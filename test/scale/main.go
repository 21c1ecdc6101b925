// Command scale measures what a large cluster costs the control service: a real `drover control`, and simulated
// agents that reach it as agents do, over sockets of their own with mutual TLS.
//
//	make scale                  # 10,000 agents, 100,000 volumes, 10,000 routes
//	make scale AGENTS=1000      # a quick look: a tenth of all of it
//
// For each agent there is a node with ten volumes, an application on one of them, and its route. The agents run in
// child processes, since a process may have only so many files open. They do what an agent's conversation with the
// service is made of (register, report, poll, beat) with control/client, and nothing else of what agents do.
//
//	cluster.go   what the service finds in its store
//	service.go   the process that is measured
//	fleet.go     the child processes, and what they are asked
//	agent.go     one simulated agent
//	figures.go   what is measured, and the goals
//
// Its last line has the figures. It fails if a goal is missed by more than a quarter.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

type options struct {
	binary string
	agents int
	// perProcess is how many agents share a process.
	perProcess int
	steady     time.Duration
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == agentsProcess {
		os.Exit(runAgents())
	}
	var o options
	flag.StringVar(&o.binary, "binary", "bin/drover", "the `FILE` to measure")
	flag.IntVar(&o.agents, "agents", 10_000, "how many agents; of volumes there are ten times as many")
	flag.IntVar(&o.perProcess, "per-process", 2500, "how many agents share a process")
	flag.DurationVar(&o.steady, "steady", 20*time.Second, "how long nothing happens but heartbeats, while it is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// say tells how far it is.
func say(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) }

func run(ctx context.Context, o options) (err error) {
	if o.agents < 1 || o.agents > mostAgents || o.perProcess < 1 {
		return fmt.Errorf("%d agents, %d in a process: want 1 to %d, and at least 1", o.agents, o.perProcess, mostAgents)
	}
	dir, err := os.MkdirTemp("", "drover-scale-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	began := time.Now()
	s := &service{binary: o.binary, dir: dir}
	if err := s.prepare(ctx, o.agents); err != nil {
		return fmt.Errorf("prepare a cluster of %d nodes: %w", o.agents, err)
	}
	say("a cluster of %d nodes was written in %s", o.agents, since(began))
	defer s.kill()
	if err := s.start(ctx); err != nil {
		return err
	}
	f, err := startFleet(ctx, filepath.Join(dir, "pki"), s.address, o)
	defer f.end()
	if err != nil {
		return err
	}
	figures, err := measure(ctx, s, f, o)
	if err != nil {
		return fmt.Errorf("%w%s", err, s.lastWords())
	}
	return figures.judge(os.Stdout)
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }
