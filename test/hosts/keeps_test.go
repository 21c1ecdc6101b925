package hosts_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/workload/ledger"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestDataThatNoVolumeCarries: an image declares a VOLUME beside the application's own. What is there
// outlives a changed deploy, and keeps the application from moving until its user gives it up.
func TestDataThatNoVolumeCarries(t *testing.T) {
	c := testcluster.OnHosts(t, 2)
	const image = "drover-test-keeps:1"
	host := c.Network.Host("a")
	docker := func(args ...string) string {
		t.Helper()
		out, err := host.Docker(args...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := host.Import("drover-test-bare:1", testcluster.Binary(t)); err != nil {
		t.Fatal(err)
	}
	bare := docker("create", "drover-test-bare:1", "/drover")
	docker("commit", "--change", "VOLUME /cache", bare, image)
	docker("rm", bare)

	db := ledger.Database{Binary: "/drover", Image: image}
	app := db.Application("db", port)
	c.Deploy(app, "a")
	docker("cp", "/etc/hostname", "drover-db:/cache/precious")
	app.Environment = map[string]string{"CHANGED": "1"}
	c.Deploy(app, "a")
	docker("cp", "drover-db:/cache/precious", t.TempDir())

	_, err := c.Control().RequestMove(t.Context(), wire.MoveRequest{Application: "db", To: "b"})
	if !errors.Is(err, cluster.ErrRefused) || !strings.Contains(err.Error(), "/cache") || !strings.Contains(cluster.Hint(err), "scratch: [/cache]") {
		t.Fatalf("a move that leaves /cache behind: %v (%s)", err, cluster.Hint(err))
	}
	app.Scratch = []string{"/cache"}
	c.Deploy(app, "a")
	if m := c.WaitMove(c.Move("db", "b").ID); m.Phase != cluster.PhaseDone {
		t.Errorf("what may be lost: the move ended as %s: %s", m.Phase, m.Reason)
	}
	// The container on a is gone, and what it kept is told of.
	for deadline := time.Now().Add(testcluster.Patience); ; time.Sleep(100 * time.Millisecond) {
		nodes, err := c.Control().Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(nodes, func(n wire.NodeStatus) bool { return n.Node.Name == "a" })
		if kept := nodes[i].State.Kept; len(kept) == 1 && kept[0].Application == "db" && kept[0].Path == "/cache" {
			docker("volume", "inspect", kept[0].Volume)
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("what a kept of the application is told of as %+v", kept)
		}
	}
}
