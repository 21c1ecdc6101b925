package handoff_test

import (
	"fmt"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// TestAroundThreeNodes: only the first visit to a node ships everything, though between two visits
// the volume was on a node that had never shared a snapshot with it.
func TestAroundThreeNodes(t *testing.T) {
	first := newStage(t)
	nodes := []*mem.Backend{first.from, mem.New(), mem.New()}
	for hop := range 9 {
		from, to := nodes[hop%3], nodes[(hop+1)%3]
		s := newStage(t)
		s.from, s.to, s.epoch = from, to, cluster.Epoch(hop+1)
		full := 0
		s.h.Backend = from
		s.h.Transport = &transfermem.Transport{Nodes: map[cluster.NodeID]volume.Backend{"b": to}, Fail: func(d volume.Delta) error {
			if d.From == "" {
				full++
			}
			return nil
		}}
		s.h.Move.ID, s.h.Move.Epoch = cluster.MoveID(fmt.Sprintf("%08d-move", hop)), s.epoch
		if err := s.h.Run(t.Context()); err != nil {
			t.Fatalf("hop %d: %v", hop, err)
		}
		if want := map[bool]int{true: 1}[hop < 2]; full != want {
			t.Errorf("hop %d: %d full copies were shipped, want %d", hop, full, want)
		}
		// What the new owner's plan does, and what its application does.
		for _, old := range cluster.OldRounds(s.copy(to).Snapshots) {
			if err := to.Drop(t.Context(), id, old.Name); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := to.Open(t.Context(), id, s.epoch+1, s.copy(to).Head); err != nil {
			t.Fatal(err)
		}
		if err := to.Write(id, fmt.Sprint("hop", hop), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	files, err := nodes[0].Read(id)
	if err != nil || len(files) != 11 { // one per hop, what was there before, what stopping wrote
		t.Errorf("at the end there are %d files, %v", len(files), err)
	}
}
