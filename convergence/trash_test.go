package convergence

import (
	"errors"
	"slices"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestTheTrashIsReported as soon as something goes into it; none is not unknown.
func TestTheTrashIsReported(t *testing.T) {
	a, h := newVolumeAgent(t)
	want := func(trash ...cluster.VolumeID) {
		t.Helper()
		s, _, err := a.state(t.Context())
		if err != nil || s.Trash == nil || !slices.Equal(s.Trash, trash) {
			t.Errorf("the trash is %v, %v, want %v", s.Trash, err, trash)
		}
	}
	if err := h.Create(t.Context(), data, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	want()
	if err := h.Remove(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	want(data)
	if err := h.Restore(t.Context(), data, 1); err != nil {
		t.Fatal(err)
	}
	want()
	if s, _, err := a.state(t.Context()); err != nil || len(s.TrashReplicas) != 0 {
		t.Errorf("other copies in the trash: %v, %v", s.TrashReplicas, err)
	}
	if s, _, err := a.state(t.Context()); err != nil || len(s.SetAside) != 0 {
		t.Errorf("set aside: %v, %v", s.SetAside, err)
	}
	c, err := h.Snapshot(t.Context(), data, "last", false)
	if err := errors.Join(err, h.Demote(t.Context(), data, 2), h.Remove(t.Context(), data)); err != nil {
		t.Fatal(err)
	}
	want()
	if s, _, err := a.state(t.Context()); err != nil || !slices.Equal(s.TrashReplicas, []cluster.TrashReplica{{Volume: data, Head: c.GUID}}) {
		t.Errorf("other copies in the trash: %v, %v", s.TrashReplicas, err)
	}
}

// TestWhatWasSetAsideIsReported: nothing that is kept is hidden.
func TestWhatWasSetAsideIsReported(t *testing.T) {
	a, h := newVolumeAgent(t)
	var diverged *volume.Diverged
	if err := h.Create(t.Context(), data, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := h.Demote(t.Context(), data, 2); !errors.As(err, &diverged) {
		t.Fatal(err)
	}
	s, _, err := a.state(t.Context())
	if err != nil || len(s.SetAside) != 1 || s.SetAside[0].Volume != data || s.SetAside[0].Why != "diverged" || s.SetAside[0].Path != diverged.KeptAs {
		t.Errorf("set aside: %+v, %v", s.SetAside, err)
	}
}
