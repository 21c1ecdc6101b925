package handoff_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/volume/mem"
)

// A prompt backend does nothing for who has gone.
type prompt struct{ *mem.Backend }

func (p prompt) Demote(ctx context.Context, id cluster.VolumeID, epoch cluster.Epoch) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return p.Backend.Demote(ctx, id, epoch)
}

// TestWhatIsCommittedIsActedUpon, though it is no longer listed as open by the time that the answer comes.
func TestWhatIsCommittedIsActedUpon(t *testing.T) {
	s := newStage(t)
	s.h.Backend = prompt{s.from}
	ctx, cancel := context.WithCancel(t.Context())
	s.commit = func(int) error { cancel(); return nil }
	if err := s.h.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if c := s.copy(s.from); c.Role != cluster.Replica || s.asking {
		t.Errorf("the copy that stays is %+v, the journal still asks: %t", c, s.asking)
	}
}

// TestTheVolumeIsItsNodesAgain, and what shall run on it, when an attempt has failed after it had that for itself.
func TestTheVolumeIsItsNodesAgain(t *testing.T) {
	s, alone := newStage(t), 0
	s.h.Alone = func(context.Context) (func(), error) { alone++; return func() { alone-- }, nil }
	s.hold = func() error {
		if alone != 1 {
			t.Error("clients are held while others may start something")
		}
		return fmt.Errorf("%w", cluster.ErrUnavailable)
	}
	var failed *handoff.Error
	if err := s.h.Run(t.Context()); !errors.As(err, &failed) || alone != 0 {
		t.Errorf("got %v, and the volume is kept from others: %t", err, alone != 0)
	}
}

// TestEachAttemptShipsItsOwnRounds: what was written since the last round of the attempt before is not lost.
func TestEachAttemptShipsItsOwnRounds(t *testing.T) {
	s := newStage(t)
	s.commit = func(int) error { return fmt.Errorf("%w: aborted", cluster.ErrConflict) }
	var failed *handoff.Error
	if err := s.h.Run(t.Context()); !errors.As(err, &failed) {
		t.Fatalf("got %v, want an attempt that failed", err)
	}
	if _, err := s.from.Open(t.Context(), id, 1, ""); err != nil {
		t.Fatal(err)
	}
	s.write("written in between")
	again := *s.h
	again.Move.Attempt, s.commit = 2, nil
	if err := again.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if files, err := s.to.Read(id); err != nil || files["written in between"] == nil {
		t.Errorf("the target holds %v, %v", files, err)
	}
}
