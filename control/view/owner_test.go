package view

import (
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

func TestTheHighestEpochThatWasSeenCounts(t *testing.T) {
	primary := func(epoch cluster.Epoch) cluster.Copy {
		return cluster.Copy{Volume: "v", Role: cluster.Primary, Epoch: epoch}
	}
	replica := func(epoch cluster.Epoch) cluster.Copy {
		return cluster.Copy{Volume: "v", Role: cluster.Replica, Epoch: epoch}
	}
	type copies = map[cluster.NodeID]cluster.Copy
	const record = 3 // a owns it on record
	for _, tt := range []struct {
		rule      string
		copies    copies
		witnesses []cluster.NodeID
		above     bool
		owner     cluster.NodeID
		epoch     cluster.Epoch
	}{
		{"without a later copy it is the record", copies{"a": primary(3), "b": replica(3)}, nil, false, "a", record},
		{"an earlier one is none", copies{"b": primary(2)}, nil, false, "a", record},
		{"a later primary, that another node bears out", copies{"a": primary(3), "b": primary(5)}, []cluster.NodeID{"a"}, true, "b", 5},
		{"its own word is not enough", copies{"a": primary(3), "b": primary(5)}, []cluster.NodeID{"b"}, true, "a", record},
		{"nobody's word is not enough", copies{"b": primary(5)}, nil, true, "a", record},
		{"the owner on record may be the later one", copies{"a": primary(5), "b": replica(4)}, nil, true, "a", 5},
		{"of a later replica the owner is not known", copies{"a": primary(3), "c": replica(5)}, []cluster.NodeID{"a"}, true, Somebody, 5},
		{"which the replica's node does not bear out", copies{"a": primary(3), "c": replica(5)}, []cluster.NodeID{"c"}, true, "a", record},
		{"nor of two later primaries", copies{"b": primary(5), "c": primary(5)}, []cluster.NodeID{"a"}, true, Somebody, 5},
		{"the highest of several", copies{"b": primary(5), "c": primary(6)}, []cluster.NodeID{"a"}, true, "c", 6},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m := records.New()
			tx := m.Begin()
			tx.Recoveries.Put(records.Recovery{Witnesses: tt.witnesses})
			m = tx.Outcome(1)
			v := View{Model: m, Seen: &Seen{}}
			for node, c := range tt.copies {
				v.Seen.Report(node, []cluster.Copy{c})
			}
			o := cluster.Ownership{Volume: "v", Owner: "a", Epoch: record}
			if _, above := v.Above(o); above != tt.above {
				t.Errorf("above the record: %t, want %t", above, tt.above)
			}
			if got, later := v.Owner(o); got.Owner != tt.owner || got.Epoch != tt.epoch || later != (tt.epoch != record) {
				t.Errorf("it is owned by %s at epoch %d (later: %t), want %s at %d", got.Owner, got.Epoch, later, tt.owner, tt.epoch)
			}
		})
	}
}
