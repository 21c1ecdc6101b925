package main

import (
	"regexp"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

// TestStatusShowsWhatNothingElseDoes: data that no volume carries, and what an application waits for
// though it runs.
func TestStatusShowsWhatNothingElseDoes(t *testing.T) {
	s := newShell(t, func(w *apitest.World) {
		w.Configuration.Applications["db"] = cluster.Application{Name: "db", Node: "1"}
		w.Nodes = []wire.NodeStatus{{Node: cluster.Node{ID: "1", Name: "a"}, State: cluster.NodeState{
			Applications: []cluster.Instance{{Name: "db", Running: true, Healthy: true, Settling: "it is new"}},
			Kept:         []cluster.Kept{{Application: "db", Path: "/cache", Volume: "drover-db.cache-1"}}}}}
	})
	out, _, _ := s.run("", "status")
	for _, row := range []string{`db +a +running +- +it is new`, `db +a +/cache +drover-db.cache-1`} {
		if !regexp.MustCompile(row).MatchString(out) {
			t.Errorf("status lacks %q:\n%s", row, out)
		}
	}
}
