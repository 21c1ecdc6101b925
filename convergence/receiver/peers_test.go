package receiver

import (
	"testing"

	"github.com/drover/drover/cluster"
)

func TestWhoseKeysAreKnown(t *testing.T) {
	a := &Receiver{assignment: cluster.Assignment{
		Nodes: []cluster.Node{{ID: "b", TransferKey: "key of b"}, {ID: "c", TransferKey: "key of both"}},
		Keys:  []cluster.UserKey{{Name: "me", Key: "key of me"}, {Name: "you", Key: "key of both"}},
	}}
	for _, row := range []struct {
		rule, key string
		node      cluster.NodeID
		known     bool
	}{
		{"a node's", "key of b", "b", true},
		{"a user's is no node's", "key of me", "", true},
		{"a node stays a node, whoever has its key too", "key of both", "c", true},
		{"nobody's", "another", "", false},
	} {
		if node, known := a.PeerOf(row.key); node != row.node || known != row.known {
			t.Errorf("%s: %q, %t", row.rule, node, known)
		}
	}
}

func TestWhatVolumesAreCalled(t *testing.T) {
	a := &Receiver{assignment: cluster.Assignment{
		Owners:   []cluster.ForeignVolume{{Name: "x", Ownership: cluster.Ownership{Volume: "held"}}},
		Volumes:  []cluster.OwnedVolume{{Volume: cluster.Volume{ID: "owned", Name: "y"}}},
		Arriving: []cluster.Arrival{{Volume: cluster.Volume{ID: "arriving", Name: "z"}}},
	}}
	names := a.VolumeNames()
	if len(names) != 3 || names["held"] != "x" || names["owned"] != "y" || names["arriving"] != "z" {
		t.Errorf("they are called %v", names)
	}
	names["held"] = "another"
	if a.VolumeNames()["held"] != "x" {
		t.Error("the assignment was changed")
	}
}
