package flocker_test

import (
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/flocker"
	"github.com/drover/drover/control/wire"
)

func node(id cluster.NodeID, volumes ...cluster.Copy) wire.NodeStatus {
	return wire.NodeStatus{Node: cluster.Node{ID: id}, State: cluster.NodeState{Node: id, Volumes: volumes}}
}

func TestDatasetStates(t *testing.T) {
	open := func(epoch cluster.Epoch) cluster.Copy {
		return cluster.Copy{Volume: data, Role: cluster.Primary, Epoch: epoch, Open: true, Path: "/flocker/" + data, MaximumSize: 1 << 30}
	}
	closed := cluster.Copy{Volume: data, Role: cluster.Primary, Epoch: 4, Path: "/flocker/" + data, MaximumSize: 1 << 30}
	replica := cluster.Copy{Volume: data, Role: cluster.Replica, Epoch: 4, Path: "/flocker/" + data}
	attached := func(id string) string {
		return `[{"dataset_id":"` + data + `","primary":"` + id + `","path":"/flocker/` + data + `","maximum_size":1073741824}]`
	}
	const detached = `[{"dataset_id":"` + data + `","maximum_size":1073741824}]`
	for _, tt := range []struct {
		rule  string
		nodes []wire.NodeStatus
		want  string
	}{
		{"nothing", nil, `[]`},
		{"attached", []wire.NodeStatus{node(n0, open(4))}, attached(n0)},
		{"attached, with a replica", []wire.NodeStatus{node(n0, open(4)), node(n1, replica)}, attached(n0)},
		{"not open is detached", []wire.NodeStatus{node(n0, closed), node(n1, replica)}, detached},
		{"a late report of the old owner loses", []wire.NodeStatus{node(n0, open(4)), node(n1, open(5))}, attached(n1)},
		{"in either order", []wire.NodeStatus{node(n0, open(5)), node(n1, open(4))}, attached(n0)},
		{"a replica alone, without a limit", []wire.NodeStatus{node(n1, replica)}, `[{"dataset_id":"` + data + `"}]`},
		{"sorted", []wire.NodeStatus{node(n0, cluster.Copy{Volume: other}), node(n1, cluster.Copy{Volume: data})},
			`[{"dataset_id":"` + data + `"},{"dataset_id":"` + other + `"}]`},
	} {
		if got := toJSON(t, flocker.DatasetStates(tt.nodes)); got != tt.want {
			t.Errorf("%s: got %s\nwant %s", tt.rule, got, tt.want)
		}
	}
}

func TestContainerStates(t *testing.T) {
	a, b := node(n0), node(n1)
	a.State.Applications = []cluster.Instance{{Name: "web", Running: true}, {Name: "unknown"}}
	b.State.Applications = []cluster.Instance{{Name: "web"}}
	c := sample()
	web := c.Applications["web"]
	web.Limits.Swappiness = 10
	c.Applications["web"] = web
	const ports = `"ports":[{"internal":80,"external":8080}],`
	want := `[{"node_uuid":"` + n0 + `","name":"unknown","image":"","restart_policy":{"name":"never"},"running":false},` +
		`{"node_uuid":"` + n0 + `","name":"web","image":"nginx:latest",` + ports + `"restart_policy":{"name":"never"},"running":true},` +
		`{"node_uuid":"` + n1 + `","name":"web","image":"nginx:latest",` + ports + `"restart_policy":{"name":"never"},"running":false}]`
	if got := toJSON(t, flocker.ContainerStates(c, []wire.NodeStatus{b, a})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := toJSON(t, flocker.ContainerStates(c, nil)); got != `[]` {
		t.Errorf("nothing: %s", got)
	}
}

func TestNodeStates(t *testing.T) {
	now := time.Now()
	heard := func(id cluster.NodeID, ago time.Duration, live bool) wire.NodeStatus {
		return wire.NodeStatus{Node: cluster.Node{ID: id, Address: "10.0.0." + string(id[0])}, Heard: now.Add(-ago), Live: live}
	}
	nodes := []wire.NodeStatus{heard("3", 119*time.Second, false), heard("2", 121*time.Second, false), heard("1", time.Second, true),
		{Node: cluster.Node{ID: "4"}}}
	want := `[{"uuid":"1","host":"10.0.0.1"},{"uuid":"3","host":"10.0.0.3"}]`
	if got := toJSON(t, flocker.NodeStates(nodes, now)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := toJSON(t, flocker.NodeStates(nil, now)); got != `[]` {
		t.Errorf("nothing: %s", got)
	}
}

func TestNodeByEra(t *testing.T) {
	nodes := []wire.NodeStatus{node(n0), {Node: cluster.Node{ID: n1, Era: "abc"}}}
	if found, err := flocker.NodeByEra(nodes, "ABC"); err != nil || toJSON(t, found) != `{"uuid":"`+n1+`"}` {
		t.Errorf("found %v, %v", found, err)
	}
	for _, era := range []string{"other", ""} {
		if _, err := flocker.NodeByEra(nodes, era); refusal(t, err) != "404 No node found with given era." {
			t.Errorf("era %q: %v", era, err)
		}
	}
}
