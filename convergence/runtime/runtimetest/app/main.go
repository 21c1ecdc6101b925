// Command app is the application that runtimes are tested with, for those that cannot run the
// test binary itself: see runtimetest.Main.
package main

import (
	"os"

	"github.com/drover/drover/convergence/runtime/runtimetest"
)

func main() { runtimetest.Main(os.Args[len(os.Args)-1]) }
