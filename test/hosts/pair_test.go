package hosts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload/ledger"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestLinkedPair moves a ledger and the front that is linked to it, each in turn, while clients
// write through the front.
func TestLinkedPair(t *testing.T) {
	c := testcluster.OnHosts(t, 3)
	front := filepath.Join(t.TempDir(), "front")
	build := exec.Command("go", "build", "-o", front, "./front")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the front: %v\n%s", err, out)
	}
	const image = "drover-test-pair:1"
	for _, h := range c.Network.Hosts {
		if err := h.Import(image, testcluster.Binary(t), front); err != nil {
			t.Fatal(err)
		}
	}
	db := ledger.Database{Binary: "/drover", Image: image}
	back := db.Application("db", port)
	c.DeployAll(map[string][]cluster.Application{"a": {back}, "b": {{
		Name: "front", Image: image, Command: []string{"/front"},
		Ports: []cluster.Port{{Internal: 80, External: port + 1}},
		Links: []cluster.Link{{LocalPort: ledger.Port, RemotePort: port, Alias: "db"}},
	}}})
	if err := db.Prepare(t.Context(), c.Proxy("c", port), 8, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	l := start(t, c, db, "db", c.Proxy("c", port+1), 0)
	for _, step := range []struct {
		app cluster.AppName
		to  string
	}{{"db", "b"}, {"db", "c"}, {"front", "c"}, {"db", "a"}, {"front", "a"}, {"front", "b"}} {
		if step.app == "db" {
			l.Move(step.to)
			continue
		}
		c.Place(step.app, step.to)
		l.Progress()
	}
	l.Verify(testcluster.Moved)
}
