package handoff_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/volume"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// slowly makes each difference take as long, and the last round as long as that.
func (s *stage) slowly(round, last time.Duration) {
	s.h.Transport.(*transfermem.Transport).Fail = func(d volume.Delta) error {
		switch {
		case strings.HasSuffix(string(d.To), cluster.FinalSuffix):
			time.Sleep(last)
		case d.From != "":
			time.Sleep(round)
		}
		return nil
	}
}

// TestWhatCannotFitTheHoldIsNeverBegun: a last round that should take longer than clients can be held
// stops nothing, and is not tried again.
func TestWhatCannotFitTheHoldIsNeverBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.slowly(51800*time.Millisecond, 51800*time.Millisecond)
		var failed *handoff.Error
		if err := s.h.Run(t.Context()); !errors.As(err, &failed) || !failed.Final || !errors.Is(err, cluster.ErrRefused) {
			t.Fatalf("got %v, want an end of the move", err)
		}
		s.happened()
		for _, want := range []string{"51.8s", "clients can be held"} {
			if !strings.Contains(failed.Error(), want) {
				t.Errorf("%q does not say %q", failed, want)
			}
		}
		if cluster.Hint(failed) == "" {
			t.Error("no way out is said")
		}
	})
}

// TestAHoldThatWasInVainTwiceIsTheLast: what was not to be foreseen is tried once more, and that is all.
func TestAHoldThatWasInVainTwiceIsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.h.Runtime = hanging{app{stage: s}}
		for attempt, final := range []bool{false, true} {
			s.h.Move.Attempt = attempt + 1
			var failed *handoff.Error
			if err := s.h.Run(t.Context()); !errors.As(err, &failed) || failed.Final != final {
				t.Fatalf("attempt %d: got %v, final %t", attempt+1, err, failed != nil && failed.Final)
			}
			s.h.Move.Stats = failed.Stats
		}
	})
}

// TestErrorsThatCannotPassAreNotTriedAgain: by their kind, on this side or the other.
func TestErrorsThatCannotPassAreNotTriedAgain(t *testing.T) {
	for _, row := range []struct {
		rule  string
		err   error
		final bool
	}{
		{"what is refused", fmt.Errorf("%w: nested subvolume", cluster.ErrRefused), true},
		{"what cannot be carried", fmt.Errorf("%w: device", cluster.ErrUnsupported), true},
		{"a file that may not be read", &fs.PathError{Op: "open", Path: "db/secret", Err: syscall.EACCES}, true},
		{"a node that may not be made", &fs.PathError{Op: "mknod", Path: "db/null", Err: syscall.EPERM}, true},
		{"an attribute that the file system has not", &fs.PathError{Op: "setxattr", Path: "db/f", Err: syscall.ENOTSUP}, true},
		{"a full disk", &fs.PathError{Op: "write", Path: "db/f", Err: syscall.ENOSPC}, true},
		{"a connection that a firewall does not allow just now", fmt.Errorf("%w: the connection broke: %w", cluster.ErrUnavailable, syscall.EPERM), false},
		{"an assignment that has not come yet", fmt.Errorf("%w: no move brings it", cluster.ErrForbidden), false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s := newStage(t)
			s.h.Transport.(*transfermem.Transport).Fail = func(volume.Delta) error { return row.err }
			var failed *handoff.Error
			if err := s.h.Run(t.Context()); !errors.As(err, &failed) || failed.Final != row.final {
				t.Errorf("final %t: %v", failed != nil && failed.Final, err)
			}
			if got := failed.Error(); !strings.Contains(got, row.err.Error()) {
				t.Errorf("%q hides its cause", got)
			}
		})
	}
}

// TestWhatIsLeftOfARoundPredictsNothing: the rest of a cut round is short, and the last round is not.
func TestWhatIsLeftOfARoundPredictsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := sharing(t)
		if _, err := s.from.Snapshot(t.Context(), id, "cut", false); err != nil {
			t.Fatal(err)
		}
		target := &cutOff{Backend: s.to, part: volume.Partial{From: "shared", To: "cut", Token: []byte("t")}, goesOn: true}
		transport := s.h.Transport.(*transfermem.Transport)
		transport.Nodes["b"] = target
		var rounds []string
		transport.Fail = func(d volume.Delta) error {
			rounds = append(rounds, string(d.To))
			if len(d.Resume) == 0 {
				time.Sleep(time.Minute)
			}
			return nil
		}
		var failed *handoff.Error
		if err := s.h.Run(t.Context()); !errors.As(err, &failed) || !failed.Final {
			t.Errorf("got %v, want an end of the move", err)
		}
		if slices.ContainsFunc(rounds, func(name string) bool { return strings.HasSuffix(name, cluster.FinalSuffix) }) {
			t.Errorf("the rounds were %q: the last one was begun", rounds)
		}
	})
}
