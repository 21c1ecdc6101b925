// Command prepare makes what virtual hosts are made of, if the cache has it not: so that the minutes
// which that takes can pass while something else runs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/drover/drover/test/harness/testcluster"
	"github.com/drover/drover/test/harness/vm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := vm.Prepare(ctx, testcluster.Databases); err != nil {
		fmt.Fprintln(os.Stderr, "prepare virtual hosts:", err)
		os.Exit(1)
	}
}
