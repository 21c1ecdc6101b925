// Package fault lets a test end a process at an exact place, as a crash would: by SIGKILL, with
// nothing flushed, closed or said.
//
//	fault.Point("handoff.final")   // in the code
//	DROVER_FAULT=handoff.final     // in the environment of the process under test
//
// Without the variable a Point costs one comparison. It is not a way to inject errors: those are
// injected by decorators of the contracts.
package fault

import (
	"os"
	"syscall"
)

// Variable is the environment variable that names the point where the process ends.
const Variable = "DROVER_FAULT"

// Point ends the process at once if Variable names it.
func Point(name string) {
	if os.Getenv(Variable) == name {
		// SIGKILL does not return; if it can't be sent, going on as if there were no fault
		// would make a test pass that proved nothing.
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		select {}
	}
}
