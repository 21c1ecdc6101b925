// Package fault lets a test end a process at an exact place, as a crash would: by SIGKILL, with
// nothing flushed, closed or said. Or stop it there until SIGCONT, to change the world meanwhile.
//
//	fault.Point("handoff.final")       // in the code
//	DROVER_FAULT=handoff.final         // in the environment of the process under test
//	DROVER_FAULT=stop:handoff.final
//
// Without the variable a Point costs one comparison. It is not a way to inject errors: those are
// injected by decorators of the contracts.
package fault

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Variable is the environment variable that names the point where the process ends, or stops.
const Variable = "DROVER_FAULT"

// stopped: a process stops once, so that what it does again after the fault goes on.
var stopped atomic.Bool

// Point ends the process at once if Variable names it, or stops it the first time.
func Point(name string) {
	switch os.Getenv(Variable) {
	case "":
	case "stop:" + name:
		if !stopped.Swap(true) {
			signal(syscall.SIGSTOP)
		}
	case name:
		signal(syscall.SIGKILL)
		select {}
	}
}

// signal sends the process a signal that it cannot catch. Going on as if there were no fault would
// make a test pass that proved nothing. It goes to this thread, which takes it before it does anything else:
// one to the process may be taken by any thread of it, some time later on a busy machine.
func signal(s syscall.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), s); err != nil {
		panic(err)
	}
}
