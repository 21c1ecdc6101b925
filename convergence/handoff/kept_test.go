package handoff_test

import (
	"slices"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// TestWhatUsersKeepOutlivesAMove, whether a round builds on it or not.
func TestWhatUsersKeepOutlivesAMove(t *testing.T) {
	s := newStage(t)
	kept := []cluster.SnapshotName{"monday", "tuesday"}
	for _, name := range kept {
		if _, err := s.from.Snapshot(t.Context(), id, name, true); err != nil {
			t.Fatal(err)
		}
	}
	session, err := s.h.Transport.Dial(t.Context(), s.h.Target)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := session.Send(t.Context(), volume.Delta{Volume: id, To: "tuesday"}, s.from, transfer.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := s.h.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var stay []cluster.SnapshotName
	for _, held := range s.copy(s.from).Snapshots {
		if held.Kept {
			stay = append(stay, held.Name)
		}
	}
	if !slices.Equal(stay, kept) {
		t.Errorf("of the snapshots %v that users keep, %v are left", kept, stay)
	}
}
