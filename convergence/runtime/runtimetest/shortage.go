package runtimetest

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/convergence/runtime"
)

// Shortage lets this process have no more files while an application runs, and checks that it
// counts as running and healthy all the same. It is not part of Run, whose tests run side by side.
func Shortage(t *testing.T, h Harness) {
	s := &suite{t: t, ctx: t.Context(), Harness: h}
	s.start(ModeServe)
	defer s.Runtime.Kill(context.Background(), app)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond) // two looks at its health
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	if err != nil {
		t.Fatal(err)
	}
	var seen []runtime.Instance
	if seen, err = s.Runtime.Instances(s.ctx); err != nil || len(seen) != 1 || !healthy(seen[0]) {
		t.Errorf("after a shortage of files: %+v, %v", seen, err)
	}
	if err := s.Runtime.Stop(s.ctx, app); err != nil {
		t.Error(err)
	}
}
