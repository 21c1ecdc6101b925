package mem_test

import (
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
	transfermem "github.com/drover/drover/volume/transfer/mem"
	"github.com/drover/drover/volume/transfer/transfertest"
)

func TestConformance(t *testing.T) {
	transfertest.Run(t, func(_ *testing.T, target volume.Backend) (transfer.Transport, cluster.Node) {
		return &transfermem.Transport{Nodes: map[cluster.NodeID]volume.Backend{"b": target}}, cluster.Node{ID: "b", Name: "b"}
	})
}
