package rules

import (
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/view"
)

func TestRoutes(t *testing.T) {
	serves := func(endpoint string) view.Sighting {
		return view.Sighting{Known: true, Healthy: true, Endpoints: map[int]string{5432: endpoint}}
	}
	ill, unknown := view.Sighting{Known: true}, view.Sighting{}
	at := func(p *view.Sighting, s view.Sighting) *view.Sighting { *p = s; return p }
	route := func(mode cluster.Mode, endpoint string, epoch cluster.Epoch, move cluster.MoveID) cluster.Route {
		return cluster.Route{External: 1, Application: "db", Mode: mode, Endpoint: endpoint, Epoch: epoch, Move: move}
	}
	move := func(phase cluster.Phase) *cluster.Move { return &cluster.Move{ID: "m", Phase: phase} }
	none := cluster.Route{}

	tests := []struct {
		name     string
		previous cluster.Route
		epoch    cluster.Epoch
		owner    view.Sighting
		leaving  *view.Sighting
		move     *cluster.Move
		want     cluster.Route
	}{
		{"nobody has served yet: hold", none, 1, ill, nil, nil, route(cluster.Hold, "", 1, "")},
		{"nobody is known to: hold", none, 1, unknown, nil, nil, route(cluster.Hold, "", 1, "")},
		{"the owner serves: forward", none, 1, serves("a:1"), nil, nil, route(cluster.Forward, "a:1", 1, "")},
		{"the owner serves elsewhere now", route(cluster.Forward, "a:1", 1, ""), 1, serves("a:2"), nil, nil, route(cluster.Forward, "a:2", 1, "")},
		{"the owner stopped serving: hold, and remember who did", route(cluster.Forward, "a:1", 1, ""), 1, ill, nil, nil, route(cluster.Hold, "a:1", 1, "")},
		{"it serves, but not this port: hold", route(cluster.Forward, "a:1", 1, ""), 1, serves(""), nil, nil, route(cluster.Hold, "a:1", 1, "")},
		{"the owner is not heard of: no route changes", route(cluster.Forward, "a:1", 1, ""), 1, unknown, nil, nil, route(cluster.Forward, "a:1", 1, "")},
		{"nor one that holds", route(cluster.Hold, "a:1", 1, ""), 1, unknown, nil, nil, route(cluster.Hold, "a:1", 1, "")},

		{"a move that ships holds nothing", route(cluster.Forward, "a:1", 1, ""), 1, serves("a:1"), nil, move(cluster.PhasePrecopy), route(cluster.Forward, "a:1", 1, "")},
		{"a move in its hold holds", route(cluster.Forward, "a:1", 1, ""), 1, serves("a:1"), nil, move(cluster.PhaseHold), route(cluster.Hold, "a:1", 1, "m")},
		{"and in its final phase", route(cluster.Hold, "a:1", 1, "m"), 1, ill, nil, move(cluster.PhaseFinal), route(cluster.Hold, "a:1", 1, "m")},
		{"and while the target is promoted", route(cluster.Hold, "a:1", 1, "m"), 2, ill, nil, move(cluster.PhasePromote), route(cluster.Hold, "a:1", 2, "m")},
		{"and while the target is not heard of", route(cluster.Hold, "a:1", 1, "m"), 2, unknown, nil, move(cluster.PhasePromote), route(cluster.Hold, "a:1", 2, "m")},
		{"until the target serves", route(cluster.Hold, "a:1", 2, "m"), 2, serves("b:1"), nil, move(cluster.PhasePromote), route(cluster.Forward, "b:1", 2, "")},

		{"a failed attempt lets go when the source serves again", route(cluster.Hold, "a:1", 1, "m"), 1, serves("a:3"), nil, move(cluster.PhaseWaiting), route(cluster.Forward, "a:3", 1, "")},
		{"until then it holds for the application, not for the move", route(cluster.Hold, "a:1", 1, "m"), 1, ill, nil, move(cluster.PhaseWaiting), route(cluster.Hold, "a:1", 1, "")},
		{"it lets go when the source is not heard of", route(cluster.Hold, "a:1", 1, "m"), 1, unknown, nil, move(cluster.PhaseWaiting), route(cluster.Forward, "a:1", 1, "")},
		{"and when the move has ended so", route(cluster.Hold, "a:1", 1, "m"), 1, unknown, nil, nil, route(cluster.Forward, "a:1", 1, "")},
		{"to nobody it can't let go", route(cluster.Hold, "", 1, "m"), 1, unknown, nil, nil, route(cluster.Hold, "", 1, "")},

		{"placed elsewhere: the old node serves until the new one does", route(cluster.Forward, "a:1", 0, ""), 0, ill, at(new(view.Sighting), serves("a:1")), nil, route(cluster.Forward, "a:1", 0, "")},
		{"then the new one", route(cluster.Forward, "a:1", 0, ""), 0, serves("b:1"), at(new(view.Sighting), serves("a:1")), nil, route(cluster.Forward, "b:1", 0, "")},
		{"neither serves: hold", route(cluster.Forward, "a:1", 0, ""), 0, ill, at(new(view.Sighting), ill), nil, route(cluster.Hold, "a:1", 0, "")},
		{"the old node is not heard of: no route changes", route(cluster.Forward, "a:1", 0, ""), 0, ill, at(new(view.Sighting), unknown), nil, route(cluster.Forward, "a:1", 0, "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := situation{
				app:   cluster.Application{Name: "db", Ports: []cluster.Port{{Internal: 5432, External: 1}}},
				epoch: tt.epoch, owner: tt.owner, leaving: tt.leaving, move: tt.move, previous: map[int]cluster.Route{},
			}
			if tt.previous != none {
				s.previous[1] = tt.previous
			}
			if got := s.routes(); len(got) != 1 || got[0] != tt.want {
				t.Errorf("got\n%+v, want\n%+v", got, tt.want)
			}
		})
	}
}
