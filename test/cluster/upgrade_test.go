package cluster_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestFilesOfAnOlderVersionAreRead: the control service's store, and the directories of two nodes, as
// testdata/older/make.sh left them. What was configured is, the owner goes on with its content, what
// was kept is, and all can be moved.
func TestFilesOfAnOlderVersionAreRead(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xzf", "testdata/older/34e1aa4.tar.gz", "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "status.json"))
	if err != nil {
		t.Fatal(err)
	}
	var was wire.Status
	if err := json.Unmarshal(text, &was); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testcluster.Patience)
	defer cancel()
	c := &localcluster.Cluster{Binary: testcluster.Binary(t), Dir: dir, Nodes: 2}
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("stop the cluster: %v", err)
		}
	})
	control, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	is, err := control.WaitConverged(ctx, func(wire.Status) {})
	if err != nil {
		t.Fatalf("%v: %v", err, is.Pending)
	}
	if !reflect.DeepEqual(is.Configuration, was.Configuration) || is.Revision != was.Revision {
		t.Errorf("the configuration is\n%+v, at revision %d, and was\n%+v, at %d", is.Configuration, is.Revision, was.Configuration, was.Revision)
	}
	if !reflect.DeepEqual(is.Ownerships, was.Ownerships) || len(is.Moves) != 1 || is.Moves[0].Stats.Pause != was.Moves[0].Stats.Pause {
		t.Errorf("owners and moves are\n%+v, %+v, and were\n%+v, %+v", is.Ownerships, is.Moves, was.Ownerships, was.Moves)
	}
	if keys, err := control.Keys(ctx); err != nil || len(keys) != 1 || keys[0].Name != "me" {
		t.Errorf("the keys are %v, %v", keys, err)
	}
	checkLedger(t, control, c, "b", 2)

	// With today's code it moves like any other.
	move, err := control.RequestMove(ctx, wire.MoveRequest{Application: "ledger", To: "a"})
	if err == nil {
		move, err = control.WatchMove(ctx, move.ID, func(cluster.Move) {})
	}
	if err != nil || move.Phase != cluster.PhaseDone || len(move.Stats.Rounds) == 0 {
		t.Fatalf("move it: %v, %+v", err, move)
	}
	checkLedger(t, control, c, "a", 3)
}

// checkLedger checks that the volume is open on a node with that epoch, that a keeps its snapshot, and
// that the application serves all entries from there.
func checkLedger(t *testing.T, control *client.Client, c *localcluster.Cluster, node string, epoch cluster.Epoch) {
	t.Helper()
	v, err := control.Volume(t.Context(), "ledger")
	if err != nil {
		t.Fatal(err)
	}
	kept, open := 0, 0
	for _, copied := range v.Copies {
		if copied.Copy.Open && copied.Node == c.NodeID(node) && copied.Copy.Epoch == epoch {
			open++
		}
		if copied.Node == c.NodeID("a") && slices.ContainsFunc(copied.Copy.Snapshots, func(s cluster.Snapshot) bool { return s.Name == "kept" && s.Kept }) {
			kept++
		}
	}
	if open != 1 || kept != 1 || v.Ownership.Epoch != epoch {
		t.Errorf("the volume is not open on %s alone with epoch %d, or lacks its snapshot: %+v", node, epoch, v)
	}
	response, err := http.Get("http://" + c.Address("a") + ":7000/entries")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	entries, err := io.ReadAll(response.Body)
	if err != nil || strings.Count(string(entries), `"amount"`) != 3 {
		t.Errorf("its entries are %s, %v", entries, err)
	}
}
