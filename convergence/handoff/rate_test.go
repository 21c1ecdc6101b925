package handoff_test

import (
	"context"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// A metered transport notes the limit that each round is sent with.
type metered struct {
	transfer.Transport
	limits map[cluster.SnapshotName]int64
}

func (m metered) Dial(ctx context.Context, to cluster.Node) (transfer.Session, error) {
	s, err := m.Transport.Dial(ctx, to)
	return meteredSession{s, m.limits}, err
}

type meteredSession struct {
	transfer.Session
	limits map[cluster.SnapshotName]int64
}

func (s meteredSession) Send(ctx context.Context, d volume.Delta, source transfer.Source, o transfer.Options) (int64, error) {
	s.limits[d.To] = o.BytesPerSecond
	return s.Session.Send(ctx, d, source, o)
}

// TestTheLastRoundIsNotLimited: clients wait for it, and for no other.
func TestTheLastRoundIsNotLimited(t *testing.T) {
	s, limits := newStage(t), map[cluster.SnapshotName]int64{}
	s.h.BytesPerSecond, s.h.Transport = 1<<20, metered{s.h.Transport, limits}
	if err := s.h.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := 0
	for name, limit := range limits {
		if strings.HasSuffix(string(name), cluster.FinalSuffix) {
			last++
			if limit != 0 {
				t.Errorf("the last round is sent with at most %d bytes a second", limit)
			}
		} else if limit != 1<<20 {
			t.Errorf("round %s is sent with a limit of %d bytes a second", name, limit)
		}
	}
	if last != 1 {
		t.Errorf("the rounds were %v, want one that is the last", limits)
	}
}
