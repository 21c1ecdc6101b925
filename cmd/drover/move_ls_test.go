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
		w.Configuration.Applications["web"] = cluster.Application{Name: "web"}
		w.Configuration.Applications["idle"] = cluster.Application{Name: "idle"}
		w.Configuration.Volumes["v"] = cluster.Volume{ID: "v", Name: "data"}
		w.Moves = []cluster.Move{
			{ID: "open", Application: "web", Phase: cluster.PhasePrecopy, Requested: now.Add(-time.Hour)},
			{ID: "late", Application: "db", Name: "data", Volume: "v", Phase: cluster.PhaseDone, Requested: now.Add(-time.Minute)},
			{ID: "early", Name: "data", Volume: "v", Phase: cluster.PhaseDone, Requested: now.Add(-24 * time.Hour)},
		}
	})
	for args, want := range map[string]string{
		"":                             "MOVE late open early",
		"--application db":             "MOVE late",
		"--volume data":                "MOVE late early",
		"--volume v":                   "MOVE late early",
		"db":                           "MOVE late",
		"data":                         "MOVE late early",
		"ear":                          "MOVE early",
		"web --volume v":               "no",
		"idle":                         "no",
		"--volume v --application web": "no",
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

// TestToListTheMovesOfNothingIsASlip, unless moves of it are remembered.
func TestToListTheMovesOfNothingIsASlip(t *testing.T) {
	s := newShell(t, func(w *apitest.World) {
		w.Moves = []cluster.Move{{ID: "m", Application: "was", Phase: cluster.PhaseDone}}
	})
	for args, want := range map[string]string{
		"ghost":               "application, volume or move ghost: not found",
		"--application ghost": "application ghost: not found",
		"--volume ghost":      "volume ghost: not found",
	} {
		if out, said, code := s.run("", append([]string{"move", "ls"}, strings.Fields(args)...)...); code != 3 || !strings.Contains(said, want) {
			t.Errorf("drover move ls %s: %d %s%s, want %s", args, code, out, said, want)
		}
	}
	if out, said, code := s.run("", "move", "ls", "was"); code != 0 || !strings.Contains(out, "was") {
		t.Errorf("of one that is gone: %d %s%s", code, out, said)
	}
}
