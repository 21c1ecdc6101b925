package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

// TestSnapshotsAreListedWhereverTheyAre: what only a former owner keeps needs space there too.
func TestSnapshotsAreListedWhereverTheyAre(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	old, young := cluster.Snapshot{Name: "old", Created: at, Kept: true}, cluster.Snapshot{Name: "young", Created: at.Add(time.Hour), Kept: true}
	s := newShell(t, func(w *apitest.World) {
		w.Volumes = []wire.VolumeStatus{{Volume: cluster.Volume{ID: "v", Name: "v"}, Ownership: cluster.Ownership{Owner: "1"},
			Names: map[cluster.NodeID]string{"1": "b", "2": "a"}, Copies: []wire.CopyStatus{
				{Node: "1", Copy: cluster.Copy{Snapshots: []cluster.Snapshot{young, {Name: "round"}}}},
				{Node: "2", Copy: cluster.Copy{Snapshots: []cluster.Snapshot{young, old}}}}}}
	})
	out, _, _ := s.run("", "snapshot", "ls", "v")
	var rows []string
	for line := range strings.Lines(out) {
		rows = append(rows, strings.Join(strings.Fields(line)[:2], " "))
	}
	if got := strings.Join(rows, ", "); got != "NAME NODE, old a, young a, young b" {
		t.Errorf("got %s", out)
	}
	out, _, _ = s.run("", "snapshot", "ls", "v", "-o", "json")
	var list []struct {
		Node string
		Name string
		Kept bool
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 3 || list[0].Name != "old" || list[0].Node != "a" || !list[2].Kept {
		t.Errorf("as JSON it is %s, %v", out, err)
	}
}
