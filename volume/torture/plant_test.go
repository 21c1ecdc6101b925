package torture

import (
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// plant makes a volume on a node, open, and returns its path. It is gone with the node.
func plant(t testing.TB, n *Node, id cluster.VolumeID) string {
	t.Helper()
	if err := n.Backend.Create(t.Context(), id, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	path, err := n.Backend.Open(t.Context(), id, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
