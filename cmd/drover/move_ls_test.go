package main

import (
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/apitest"
)

// TestMovesAreListedNewestFirst, all of them or those of one application or volume.
func TestMovesAreListedNewestFirst(t *testing.T) {
	now := time.Now()
	s := newShell(t, func(w *apitest.World) {
		w.Moves = []cluster.Move{
			{ID: "open", Application: "web", Phase: cluster.PhasePrecopy, Requested: now.Add(-time.Hour)},
			{ID: "late", Application: "db", Name: "data", Volume: "v", Phase: cluster.PhaseDone, Requested: now.Add(-time.Minute)},
			{ID: "early", Name: "data", Volume: "v", Phase: cluster.PhaseDone, Requested: now.Add(-24 * time.Hour)},
		}
	})
	for args, want := range map[string]string{
		"":                                "MOVE late open early",
		"--application db":                "MOVE late",
		"--volume data":                   "MOVE late early",
		"--volume v":                      "MOVE late early",
		"--volume v --application web":    "",
		"--application db --volume other": "",
	} {
		out, said, code := s.run("", append([]string{"move", "ls"}, strings.Fields(args)...)...)
		var rows []string
		for line := range strings.Lines(out) {
			rows = append(rows, strings.Fields(line)[0])
		}
		if got := strings.Join(rows, " "); got != want || code != 0 {
			t.Errorf("drover move ls %s: %d %s, listed %s, want %s", args, code, said, got, want)
		}
	}
}
