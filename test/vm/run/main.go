// Command run runs a static program in a guest with real ZFS, as if it ran here: its output, its
// exit status, its working directory with testdata. It is made for tests:
//
//	CGO_ENABLED=0 go test -exec "go run github.com/drover/drover/test/vm/run" ./volume/zfs/...
//
// The environment's variables that begin with DROVER_ and GO go with it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/drover/drover/test/harness/vm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: run PROGRAM [ARGUMENT...]")
		os.Exit(2)
	}
	p := vm.Program{Path: os.Args[1], Args: os.Args[2:], Dir: ".", Stdout: os.Stdout, Stderr: os.Stderr}
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "DROVER_") || strings.HasPrefix(entry, "GO") {
			p.Env = append(p.Env, entry)
		}
	}
	status, err := p.Run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "run in a guest:", err)
		os.Exit(1)
	}
	os.Exit(status)
}
