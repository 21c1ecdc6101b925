package convergence

import (
	"errors"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/volume"
)

// TestNoVolumeIsClosedUnderAnApplication, nor one of which nobody knows whether one uses it.
func TestNoVolumeIsClosedUnderAnApplication(t *testing.T) {
	a, h := newUsedAgent(t)
	if _, err := h.Open(t.Context(), data, 1, ""); err != nil {
		t.Fatal(err)
	}
	if err := a.closeVolume(t.Context(), plan.Step{Volume: data}); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("db runs on it: %v", err)
	}
	a.Runtime = deaf{}
	if err := a.closeVolume(t.Context(), plan.Step{Volume: data}); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("what runs is not known: %v", err)
	}
	if c, err := volume.Find(t.Context(), h, data); err != nil || !c.Open {
		t.Errorf("the copy is %+v, %v", c, err)
	}
	a.Runtime = aloneHost{}
	if err := a.closeVolume(t.Context(), plan.Step{Volume: data}); err != nil {
		t.Error(err)
	}
}
