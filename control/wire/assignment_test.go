package wire

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drover/drover/cluster"
)

func routes(ports ...int) []cluster.Route {
	var out []cluster.Route
	for _, port := range ports {
		out = append(out, cluster.Route{External: port})
	}
	return out
}

func led(port int, to string) cluster.Route { return cluster.Route{External: port, Endpoint: to} }

func TestChangesAreMergedInOrder(t *testing.T) {
	for _, row := range []struct {
		rule    string
		there   []cluster.Route
		changed []cluster.Route
		gone    []int
		want    []cluster.Route
	}{
		{"nothing", routes(1, 2), nil, nil, routes(1, 2)},
		{"onto nothing", nil, routes(2, 1), nil, routes(1, 2)},
		{"before, between and after", routes(2, 4), routes(5, 1, 3), nil, routes(1, 2, 3, 4, 5)},
		{"one in place of another", routes(1, 2, 3), []cluster.Route{led(2, "x")}, nil, []cluster.Route{{External: 1}, led(2, "x"), {External: 3}}},
		{"the first and the last are gone", routes(1, 2, 3), nil, []int{3, 1}, routes(2)},
		{"what was never there is gone", routes(1, 3), nil, []int{0, 2, 4}, routes(1, 3)},
		{"all is gone", routes(1, 2), nil, []int{1, 2}, nil},
		{"some go, some come", routes(1, 2, 3), routes(4, 0), []int{2}, routes(0, 1, 3, 4)},
	} {
		t.Run(row.rule, func(t *testing.T) {
			before := slices.Clone(row.there)
			c := AssignmentChanges{Since: 5, Same: true, GoneRoutes: row.gone}
			c.Routes, c.Revision = row.changed, 7
			got, err := c.Onto(cluster.Assignment{Revision: 6, Routes: row.there})
			if diff := cmp.Diff(row.want, got.Routes, cmpopts.EquateEmpty()); diff != "" || err != nil || got.Revision != 7 {
				t.Errorf("revision %d, %v; routes (-want +got)\n%s", got.Revision, err, diff)
			}
			if !slices.Equal(before, row.there) {
				t.Error("what was there was changed")
			}
		})
	}
}

func TestANodesOwnPartIsLeftOutOrReplaced(t *testing.T) {
	earlier := cluster.Assignment{Revision: 6, Own: 6, Node: "a", Volumes: []cluster.OwnedVolume{{Application: "db"}},
		Nodes: []cluster.Node{{ID: "a"}, {ID: "b"}}, Keys: []cluster.UserKey{{Name: "me"}}, Routes: routes(1)}
	c := AssignmentChanges{Since: 6, Same: true, GoneNodes: []cluster.NodeID{"b"}, GoneKeys: []string{"me"}}
	c.Revision = 8
	got, err := c.Onto(earlier)
	want := cluster.Assignment{Revision: 8, Own: 6, Node: "a", Volumes: earlier.Volumes, Nodes: []cluster.Node{{ID: "a"}}, Routes: routes(1)}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	c = c.With(cluster.Assignment{Revision: 9, Own: 9, Node: "a"})
	got, err = c.Onto(earlier)
	want = cluster.Assignment{Revision: 9, Own: 9, Node: "a", Nodes: []cluster.Node{{ID: "a"}}, Routes: routes(1)}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

func TestChangesFromWhatIsNotKnownAreRefused(t *testing.T) {
	if got, err := (AssignmentChanges{Since: 7, Same: true}).Onto(cluster.Assignment{Revision: 6}); err == nil {
		t.Errorf("it became %+v", got)
	}
	whole := AssignmentChanges{Assignment: cluster.Assignment{Revision: 3, Routes: routes(1)}}
	if got, err := whole.Onto(cluster.Assignment{Revision: 6, Routes: routes(2, 3)}); err != nil || got.Revision != 3 || len(got.Routes) != 1 {
		t.Errorf("what is whole became %+v, %v", got, err)
	}
}

// TestAWholeAssignmentReadsAsItAlwaysDid, to agents and services that know of no changes.
func TestAWholeAssignmentReadsAsItAlwaysDid(t *testing.T) {
	whole := cluster.Assignment{Revision: 3, Node: "a", Routes: routes(1), Nodes: []cluster.Node{{ID: "a"}}, Keys: []cluster.UserKey{{Name: "me"}}}
	plain, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := (AssignmentChanges{Assignment: whole}).JSON(); err != nil || string(text) != string(plain) {
		t.Errorf("it is %s, %v; want %s", text, err, plain)
	}
	var read AssignmentChanges
	if err := json.Unmarshal(plain, &read); err != nil || read.Since != 0 || read.Same || len(read.Routes) != 1 {
		t.Errorf("it is read as %+v, %v", read, err)
	}
}

func TestWhatManyAreToldIsEncodedOnce(t *testing.T) {
	c := AssignmentChanges{Since: 5, Same: true}.Shared()
	one, err := c.JSON()
	other, err2 := c.JSON()
	if err != nil || err2 != nil || &one[0] != &other[0] {
		t.Errorf("%v, %v: it was encoded again", err, err2)
	}
	if own, err := c.With(cluster.Assignment{Node: "a"}).JSON(); err != nil || string(own) == string(one) {
		t.Errorf("a node is told what is another's: %s, %v", own, err)
	}
}

// TestWhoDoesNotKnowOfLives goes on: neither a service nor an agent of an earlier version says of any.
func TestWhoDoesNotKnowOfLives(t *testing.T) {
	var told AssignmentChanges
	if err := json.Unmarshal([]byte(`{"revision": 7, "node": "a"}`), &told); err != nil {
		t.Fatal(err)
	}
	if at := told.Position(); at != (cluster.Position{Revision: 7}) {
		t.Errorf("an earlier service gave an assignment at %+v", at)
	}
	text, err := json.Marshal(cluster.Node{ID: "a"})
	if err != nil || strings.Contains(string(text), "told") {
		t.Errorf("a node that was told nothing registers with %s, %v", text, err)
	}
	text, err = json.Marshal(cluster.Node{ID: "a", Told: cluster.Position{Life: "one", Revision: 7}})
	var n cluster.Node
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	if err != nil || n.Told != (cluster.Position{Life: "one", Revision: 7}) {
		t.Errorf("%s was read as %+v, %v", text, n.Told, err)
	}
	whole, err := AssignmentChanges{Since: 7, Same: true, Assignment: cluster.Assignment{Revision: 8}}.Onto(
		cluster.Assignment{Revision: 7, Life: "one"})
	if err != nil || whole.Position() != (cluster.Position{Life: "one", Revision: 8}) {
		t.Errorf("after changes a node is at %+v, %v", whole.Position(), err)
	}
}
