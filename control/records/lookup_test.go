package records

import (
	"errors"
	"testing"

	"github.com/drover/drover/cluster"
)

func TestRunsOn(t *testing.T) {
	with := func(a cluster.Application, owners []cluster.Ownership, left ...Drain) *Model {
		m := New()
		tx := m.Begin()
		tx.Applications.Put(a)
		for _, o := range owners {
			tx.Ownerships.Put(o)
		}
		for _, d := range left {
			tx.Drains.Put(d)
		}
		return tx.Outcome(1)
	}
	owned := []cluster.Ownership{{Volume: "v", Owner: "a"}}
	volume := &cluster.Attachment{Volume: "v"}
	for _, tt := range []struct {
		rule  string
		model *Model
		want  cluster.NodeID
	}{
		{"where it is placed", with(cluster.Application{Name: "x", Node: "b"}, nil), "b"},
		{"where it leaves, until it is healthy elsewhere", with(cluster.Application{Name: "x", Node: "b"}, nil, Drain{"x", "a"}), "a"},
		{"with a volume, at its owner", with(cluster.Application{Name: "x", Node: "b", Volume: volume}, owned), "a"},
		{"nowhere without an owner", with(cluster.Application{Name: "x", Node: "b", Volume: volume}, nil), ""},
		{"nowhere when it is placed nowhere", with(cluster.Application{Name: "x", Volume: volume}, owned), ""},
		{"nowhere when it does not exist", New(), ""},
	} {
		got, err := tt.model.RunsOn("x")
		if got != tt.want || (tt.want == "") != errors.Is(err, cluster.ErrNotFound) {
			t.Errorf("%s: %q, %v; want %q", tt.rule, got, err, tt.want)
		}
	}
}
