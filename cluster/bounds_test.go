package cluster

import (
	"errors"
	"strings"
	"testing"
)

func TestWhatANodeSaysIsBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	s := NodeState{Node: "a", VolumesUnknown: long,
		Applications: []Instance{{Name: "db", Reason: long, Keeps: []string{long}}},
		Volumes:      []Copy{{Snapshots: []Snapshot{{Name: SnapshotName(long)}}}},
		Conflicts:    []Conflict{{What: long, WaysOut: []string{long}}}, Peers: map[NodeID]string{"b": long, "c": "alive"}}
	if err := Bound(&s); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{s.VolumesUnknown, s.Applications[0].Reason, s.Applications[0].Keeps[0], string(s.Volumes[0].Snapshots[0].Name),
		s.Conflicts[0].What, s.Conflicts[0].WaysOut[0], s.Peers["b"]} {
		if len(text) > mostText+3 || !strings.HasPrefix(text, "xxx") {
			t.Errorf("a text of %d bytes is left of one that is too long", len(text))
		}
	}
	if s.Node != "a" || s.Applications[0].Name != "db" || s.Peers["c"] != "alive" {
		t.Errorf("what was short is %+v", s)
	}
	for _, much := range []NodeState{
		{Applications: make([]Instance, mostItem+1)},
		{Volumes: []Copy{{Snapshots: make([]Snapshot, mostItem+1)}}},
		{Peers: map[NodeID]string{NodeID(long): ""}},
	} {
		if err := Bound(&much); !errors.Is(err, ErrInvalid) {
			t.Errorf("too much of something: %v", err)
		}
	}
}

func TestANodeSaysLittleOfItself(t *testing.T) {
	for name, n := range map[string]Node{
		"a key":       {ID: "a", TransferKey: strings.Repeat("x", 1<<20)},
		"an address":  {ID: "a", GossipAddress: strings.Repeat("x", 1<<20)},
		"an ability":  {ID: "a", Capabilities: []string{strings.Repeat("x", 1<<20)}},
		"features":    {ID: "a", Features: map[string]string{"x": strings.Repeat("x", 1<<20)}},
		"many labels": {ID: "a", Labels: manyLabels()},
	} {
		if err := n.Validate().Err(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyLabels() map[string]string {
	labels := map[string]string{}
	for i := range 10_000 {
		labels[strings.Repeat("x", i%200)+string(rune('a'+i%26))] = "y"
	}
	return labels
}
