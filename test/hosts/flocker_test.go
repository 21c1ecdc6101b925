package hosts_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/drover/drover/internal/workload/postgres"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestFlockerTutorial deploys the files of Flocker's PostgreSQL tutorial, byte by byte as they
// were, and then the one that moves it. The nodes have the addresses of the tutorial's.
func TestFlockerTutorial(t *testing.T) {
	c := testcluster.OnHostsAt(t, "172.16.255", 250, 2)
	// The image of that name, as far as the tutorial knows it: it makes its data and serves.
	for _, node := range c.NodeNames() {
		importTutorialImage(t, c, node)
	}
	files, err := filepath.Abs("../../deploy/testdata/flocker")
	if err != nil {
		t.Fatal(err)
	}
	drover := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), testcluster.Binary(t), args...)
		cmd.Env = append(os.Environ(), "DROVER_CONTROL="+c.ControlAddress(), "DROVER_PKI="+c.PKI())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("drover %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	drover("deploy", filepath.Join(files, "postgres-application.yml"), filepath.Join(files, "postgres-deployment.yml"))
	// Any node's address leads to it.
	db := postgres.Database{}
	if err := db.Prepare(t.Context(), c.Address("a")+":5432", 1, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	before, err := db.Entries(t.Context(), c.Address("b")+":5432")
	if err != nil {
		t.Fatal(err)
	}
	out := drover("deploy", filepath.Join(files, "postgres-application.yml"), filepath.Join(files, "postgres-deployment-moved.yml"))
	if !strings.Contains(out, "postgres-volume-example: move from a") {
		t.Errorf("the deploy says\n%s", out)
	}
	for _, node := range c.NodeNames() {
		after, err := db.Entries(context.WithoutCancel(t.Context()), c.Address(node)+":5432")
		if err != nil || len(after) != len(before) {
			t.Errorf("at %s: %d entries, %v; want %d", node, len(after), err, len(before))
		}
	}
	if out := drover("logs", "postgres-volume-example"); !strings.Contains(out, "database system is ready to accept connections") {
		t.Errorf("the logs are\n%s", out)
	}
	listed, err := c.Network.Host("b").Docker("ps", "--filter", "label=drover.application=postgres-volume-example", "--filter", "label=drover.role=application",
		"--format", `{{.Label "drover.epoch"}}`).CombinedOutput()
	if err != nil || strings.TrimSpace(string(listed)) != "2" {
		t.Errorf("docker ps by label: %q, %v", listed, err)
	}
}

// importTutorialImage makes an image called postgres that runs without a command.
func importTutorialImage(t *testing.T, c *testcluster.Cluster, node string) {
	t.Helper()
	const script = `chown postgres: /var/lib/postgresql/data && exec setpriv --reuid postgres --regid postgres --init-groups sh -c "` +
		`test -s /var/lib/postgresql/data/db/PG_VERSION || { /usr/lib/postgresql/15/bin/initdb -D /var/lib/postgresql/data/db -U bank -A trust && ` +
		`echo host all all all trust >> /var/lib/postgresql/data/db/pg_hba.conf; }; ` +
		`exec /usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/data/db -h 0.0.0.0 -k ''"`
	out, err := c.Network.Host(node).Docker("import", "--change", `ENTRYPOINT ["/bin/sh", "-c", `+strconv.Quote(script)+`]`, "--change", "ENV PATH=/usr/bin:/bin", debianRoot(t), "postgres").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
