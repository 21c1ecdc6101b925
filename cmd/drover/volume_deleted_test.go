package main

import (
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// TestNoUndeleteIsPromisedOfWhatIsLost, neither when the volume is removed nor later.
func TestNoUndeleteIsPromisedOfWhatIsLost(t *testing.T) {
	v := wire.VolumeStatus{Volume: cluster.Volume{ID: "v", Name: "two", DeletedAt: time.Now()}, Ownership: cluster.Ownership{Volume: "v", Owner: "b", Epoch: 2, Created: true}}
	for _, row := range []struct {
		rule     string
		copies   []wire.CopyStatus
		trash    []cluster.VolumeID
		promised bool
	}{
		{"the owner has it", []wire.CopyStatus{{Node: "b", Copy: cluster.Copy{Volume: "v", Epoch: 2}}}, []cluster.VolumeID{}, true},
		{"the owner has lost it", []wire.CopyStatus{{Node: "b", Copy: cluster.Copy{Volume: "v", Epoch: 2, Lost: "there is no data"}}}, []cluster.VolumeID{}, false},
		{"the owner has none, another node has", []wire.CopyStatus{{Node: "c", Copy: cluster.Copy{Volume: "v", Epoch: 1}}}, []cluster.VolumeID{}, false},
	} {
		nodes := []wire.NodeStatus{{Node: cluster.Node{ID: "b", Name: "b", TrashGrace: time.Hour}, State: cluster.NodeState{Trash: row.trash}}}
		v.Copies = row.copies
		var removed, listed strings.Builder
		printRemoved(&removed, v, nodes)
		printDeleted(&listed, []wire.VolumeStatus{v}, nodes)
		until := strings.Contains(listed.String(), v.Volume.DeletedAt.Add(time.Hour).Local().Format(time.DateTime))
		if strings.Contains(removed.String(), "drover volume undelete two") != row.promised || until != row.promised {
			t.Errorf("%s: %s%s", row.rule, removed.String(), listed.String())
		}
	}
}

// TestWhatWasSetAsideIsShown, with where it is and until when.
func TestWhatWasSetAsideIsShown(t *testing.T) {
	at := time.Now()
	v := wire.VolumeStatus{SetAside: []wire.SetAsideStatus{{Node: "b", Copy: cluster.SetAside{Why: "replaced", At: at, Path: "/p", Bytes: 2048}}}}
	var text strings.Builder
	printVolume(&text, v, []wire.NodeStatus{{Node: cluster.Node{ID: "b", Name: "node-b", TrashGrace: time.Hour}}})
	for _, want := range []string{"SET ASIDE ON", "node-b", "replaced", "2.0 KiB", "/p", at.Add(time.Hour).Local().Format(time.DateTime), "copy it from its path"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s\nwant %q", text.String(), want)
		}
	}
}
