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
	suspended := func(name cluster.AppName, id cluster.VolumeID, w *apitest.World) {
		w.Configuration.Applications[name] = cluster.Application{Name: name, Node: "1", Volume: &cluster.Attachment{Volume: id}}
		w.Configuration.Volumes[id] = cluster.Volume{ID: id, Name: string(name), Primary: "1"}
		w.Status.Ownerships[id] = cluster.Ownership{Volume: id, Owner: "1", Epoch: 1, Created: true}
		w.Status.Suspended[id] = "there is a later copy"
	}
	s.service.Set(func(w *apitest.World) {
		w.Status.Converged = true
		w.Status.Ownerships, w.Status.Suspended = map[cluster.VolumeID]cluster.Ownership{}, map[cluster.VolumeID]string{}
		suspended("stays", "v", w)
		suspended("rests", "w", w)
		w.Nodes[0].Refused = &wire.Refused{Address: "10.0.0.9", Why: "node a is at 10.0.0.1", WayOut: "--former-address 10.0.0.1"}
		w.Nodes = append(w.Nodes, wire.NodeStatus{Node: cluster.Node{ID: "2", Name: "b"}, Live: true,
			State: cluster.NodeState{Applications: []cluster.Instance{{Name: "stays", Running: true, Healthy: true}}}})
	})
	out, _, _ := s.run("", "status")
	for _, row := range []string{`db +a +running +- +it is new`, `db +a +/cache +drover-db.cache-1`,
		`stays +b +running .*waits for drover control accept`, `rests +a +suspended .*waits for drover control accept`,
		`an agent is REFUSED`, `a +not heard of +not since the service started .* -\n`,
		`REFUSED as a: an agent at 10.0.0.9: node a is at 10.0.0.1\n  - --former-address 10.0.0.1`} {
		if !regexp.MustCompile(row).MatchString(out) {
			t.Errorf("status lacks %q:\n%s", row, out)
		}
	}
}
