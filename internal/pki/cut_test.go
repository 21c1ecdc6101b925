package pki_test

import (
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/pki"
	"github.com/drover/drover/test/harness/powercut"
)

// TestIdentitiesSurviveALossOfPower: a node that was told who it is stays that node.
func TestIdentitiesSurviveALossOfPower(t *testing.T) {
	id := cluster.NodeID(cluster.NewUUID())
	powercut.Each(t, func(t *testing.T, kind string) {
		powercut.Run(t, kind, func(dir string) {
			a, err := pki.Init(filepath.Join(dir, "control", "pki"), "test", "localhost")
			if err == nil {
				err = a.Node(filepath.Join(dir, "node", "pki"), id)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, func(dir string) {
			if _, err := pki.Open(filepath.Join(dir, "control", "pki")); err != nil {
				t.Error(err)
			}
			if got, err := pki.NodeIDIn(filepath.Join(dir, "node", "pki")); err != nil || got != id {
				t.Errorf("the node is %q, %v; want %q", got, err, id)
			}
			if _, err := pki.GossipKey(filepath.Join(dir, "node", "pki")); err != nil {
				t.Error(err)
			}
		})
	})
}
