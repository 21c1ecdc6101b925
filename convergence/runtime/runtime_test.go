package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

func TestRestart(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	after := func(up time.Duration, status int) runtime.Instance {
		return runtime.Instance{Started: began, Ended: began.Add(up), ExitStatus: status, Reason: "exited"}
	}
	for _, row := range []struct {
		rule   string
		policy cluster.RestartPolicy
		count  int
		ended  runtime.Instance
		again  bool
		wait   time.Duration
	}{
		{"without a policy it stays as it is", cluster.RestartPolicy{}, 0, after(time.Second, 1), false, 0},
		{"never", cluster.RestartPolicy{Name: cluster.RestartNever}, 0, after(time.Second, 1), false, 0},
		{"always, after any end", cluster.RestartPolicy{Name: cluster.RestartAlways}, 0, after(time.Second, 0), true, 100 * time.Millisecond},
		{"each restart waits twice as long", cluster.RestartPolicy{Name: cluster.RestartAlways}, 3, after(time.Second, 1), true, 800 * time.Millisecond},
		{"but not for ever longer", cluster.RestartPolicy{Name: cluster.RestartAlways}, 1000, after(time.Second, 1), true, 30 * time.Second},
		{"one that ran for a while starts over", cluster.RestartPolicy{Name: cluster.RestartAlways}, 9, after(time.Minute, 1), true, 100 * time.Millisecond},
		{"on failure, after a failure", cluster.RestartPolicy{Name: cluster.RestartOnFailure}, 0, after(time.Second, 1), true, 100 * time.Millisecond},
		{"on failure, not after success", cluster.RestartPolicy{Name: cluster.RestartOnFailure}, 0, after(time.Second, 0), false, 0},
		{"on failure, up to its bound", cluster.RestartPolicy{Name: cluster.RestartOnFailure, MaximumRetryCount: 2}, 1, after(time.Second, 1), true, 200 * time.Millisecond},
		{"on failure, not beyond it", cluster.RestartPolicy{Name: cluster.RestartOnFailure, MaximumRetryCount: 2}, 2, after(time.Second, 1), false, 0},
	} {
		again, at, reason := runtime.Restart(row.policy, row.count, row.ended)
		if again != row.again || (again && at.Sub(row.ended.Ended) != row.wait) || again && reason == "" {
			t.Errorf("%s: %v, %s after the end, %q", row.rule, again, at.Sub(row.ended.Ended), reason)
		}
		if over := "not started again: restarts used: 2 of 2"; !again && (row.count == 2) != (reason == over) {
			t.Errorf("%s: %q", row.rule, reason)
		}
	}
}

func TestFingerprint(t *testing.T) {
	base := runtime.Spec{Address: "10.0.0.1", VolumePath: "/v", Application: cluster.Application{Name: "app", Command: []string{"a"},
		Ports: []cluster.Port{{Internal: 1, External: 2}}, Environment: map[string]string{"A": "1", "B": "2"}}}
	change := func(f func(*runtime.Spec)) string {
		s := base
		s.Application = s.Application.Clone()
		f(&s)
		return s.Fingerprint()
	}
	for rule, same := range map[string]string{
		"where it is placed":     change(func(s *runtime.Spec) { s.Application.Node = "b" }),
		"its restart policy":     change(func(s *runtime.Spec) { s.Application.Restart.Name = cluster.RestartAlways }),
		"what may be lost":       change(func(s *runtime.Spec) { s.Application.Scratch = []string{"/cache"} }),
		"its external port":      change(func(s *runtime.Spec) { s.Application.Ports[0].External = 3 }),
		"the epoch of its owner": change(func(s *runtime.Spec) { s.Epoch = 9 }),
	} {
		if same != base.Fingerprint() {
			t.Errorf("%s makes it another instance", rule)
		}
	}
	for rule, other := range map[string]string{
		"its command":       change(func(s *runtime.Spec) { s.Application.Command = []string{"b"} }),
		"its environment":   change(func(s *runtime.Spec) { s.Application.Environment["A"] = "2" }),
		"its internal port": change(func(s *runtime.Spec) { s.Application.Ports[0].Internal = 3 }),
		"its volume's path": change(func(s *runtime.Spec) { s.VolumePath = "/w" }),
		"its address":       change(func(s *runtime.Spec) { s.Address = "10.0.0.2" }),
	} {
		if other == base.Fingerprint() {
			t.Errorf("%s leaves it as it is", rule)
		}
	}
}

func TestAccount(t *testing.T) {
	if uid, gid, err := runtime.Account(""); uid != os.Getuid() || gid != os.Getgid() || err != nil {
		t.Errorf("the agent's own account is %d:%d, %v", uid, gid, err)
	}
	if _, _, err := runtime.Account("no-such-user"); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

// TestAHostThatCannotLookDoesNotKnow: what is known of an application stays while a look fails for
// want of something that this host is short of.
func TestAHostThatCannotLookDoesNotKnow(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", errno)}
	}
	looks := []error{nil, dial(syscall.EMFILE), dial(syscall.ENFILE), fmt.Errorf("fork/exec: %w", syscall.ENOMEM), dial(syscall.EADDRNOTAVAIL),
		fmt.Errorf("%w: the engine does not answer", cluster.ErrUnavailable), nil, dial(syscall.ECONNREFUSED), context.DeadlineExceeded}
	want := []bool{true, true, false, false}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var noted []bool
		n := 0
		runtime.WatchHealth(ctx, nil, func(context.Context) error {
			n++
			if n == len(looks)+1 {
				cancel()
				return nil
			}
			return looks[n-1]
		}, func(unhealthy error) { noted = append(noted, unhealthy == nil) })
		if !slices.Equal(noted, want) {
			t.Errorf("noted %v, want %v", noted, want)
		}
	})
}
