package handoff_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/volume"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// patience is longer than anything may go on without getting ahead.
const patience = 20 * time.Minute

// ends runs an attempt that nothing but its own bounds can end.
func ends(t *testing.T, s *stage, within time.Duration, final bool, want string) {
	t.Helper()
	began := time.Now()
	var failed *handoff.Error
	if err := s.h.Run(t.Context()); !errors.As(err, &failed) || failed.Final != final || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an end that says %q, final %t", err, want, final)
	}
	if took := time.Since(began); took > within {
		t.Errorf("it took %s", took)
	}
	s.happened()
}

// endless is a command that never ends.
type endless struct{ imageApp }

func (endless) Exec(ctx context.Context, _ cluster.AppName, _ []string) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestACommandThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.h.Runtime = endless{imageApp{app: app{stage: s}}}
		s.h.Application = cluster.Application{Name: "db", Stop: cluster.StopPolicy{Before: []string{"checkpoint"}}}
		ends(t, s, patience, true, "the command before the stop of db: it did not end within 15m0s")
	})
}

// A hung backend makes no snapshot until its context ends, or not even then.
type hung struct {
	volume.Backend
	deaf <-chan struct{}
}

func (b hung) Snapshot(ctx context.Context, _ cluster.VolumeID, _ cluster.SnapshotName, _ bool) (cluster.Snapshot, error) {
	if b.deaf != nil {
		<-b.deaf
	} else {
		<-ctx.Done()
	}
	return cluster.Snapshot{}, ctx.Err()
}

func TestADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.h.Backend = hung{Backend: s.from}
		ends(t, s, patience, false, "no progress for 15m0s: round 1")
	})
}

// reports counts the progress that is reported.
type reports struct {
	*stage
	last time.Time
}

func (r *reports) Progress(context.Context, cluster.MoveID, wire.ProgressReport) error {
	r.last = time.Now()
	return nil
}

// TestToBeAliveIsNoProgress: of a hand-off that does not even notice that it is broken off nothing is heard, so
// that the control service ends it.
func TestToBeAliveIsNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		heard, deaf := &reports{stage: s}, make(chan struct{})
		s.h.Control, s.h.Backend = heard, hung{Backend: s.from, deaf: deaf}
		time.AfterFunc(time.Hour, func() { close(deaf) })
		began := time.Now()
		ends(t, s, 2*time.Hour, false, "no progress")
		if after := heard.last.Sub(began); after < 10*time.Minute || after > patience {
			t.Errorf("it was last heard of after %s", after)
		}
	})
}

// TestABulkThatTakesLongGetsAhead: what is bounded is the time without progress.
func TestABulkThatTakesLongGetsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.h.OverBudget, s.h.MaxRounds = handoff.Wait, 3
		rounds := 0
		s.h.Transport.(*transfermem.Transport).Fail = func(d volume.Delta) error {
			if rounds++; rounds < 10 {
				time.Sleep(10 * time.Minute)
			}
			return nil
		}
		if err := s.h.Run(t.Context()); err != nil || rounds < 10 {
			t.Errorf("after %d rounds: %v", rounds, err)
		}
	})
}

// TestAWaitEnds when rounds do not get shorter.
func TestAWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.h.OverBudget = handoff.Wait
		s.slowly(10*time.Minute, 0)
		ends(t, s, 26*time.Hour, true, "no round got shorter for 24h0m0s")
	})
}
