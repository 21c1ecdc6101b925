package hosts_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// compose runs docker-compose against a host's engine.
func (c docked) compose(node string, args ...string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "docker-compose", append([]string{"--project-name", "shop", "--file", "testdata/shop.yml"}, args...)...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+c.Network.Host(node).EngineHost())
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("on %s: docker-compose %s: %v\n%s", node, strings.Join(args, " "), err, out)
	}
}

// visits returns how many rows the shop's database has.
func (c docked) visits(node, container string) int {
	out, err := c.try(node, "exec", container, "psql", "-h", "/tmp", "-U", "shop", "-tA", "postgres", "-c", "SELECT count(*) FROM visits")
	if err != nil {
		return 0 // it is starting
	}
	n, _ := strconv.Atoi(out)
	return n
}

// TestCompose brings a Compose project with PostgreSQL up on one host, takes it down, and brings it up
// on another one, whose engine has never heard of the volume. Then plain docker does the same.
func TestCompose(t *testing.T) {
	if _, err := exec.LookPath("docker-compose"); err != nil {
		t.Fatalf("CANNOT RUN: %v (Debian: docker-compose)", err)
	}
	c := newDocked(t, 3)
	importDebian(t, c.Cluster, "a")
	importDebian(t, c.Cluster, "b")
	importDebian(t, c.Cluster, "c")
	seen := 0
	for _, node := range []string{"a", "b", "a"} {
		c.compose(node, "up", "--detach")
		c.eventually("the application writes on "+node, func() bool { return c.visits(node, "shop_db_1") >= seen+5 })
		if seen > 0 && c.visits(node, "shop_db_1") < seen {
			t.Errorf("rows are missing on %s", node)
		}
		if out := c.fails("c", "run", "--rm", "--network", "none", "-v", "shop_pgdata:/data", busyImage, "/busybox", "true"); !strings.Contains(out, "in use on "+node+" by container shop_db_1") {
			t.Errorf("on c: %s", out)
		}
		c.compose(node, "stop", "app")
		seen = c.visits(node, "shop_db_1")
		c.compose(node, "down")
	}
	start := "exec setpriv --reuid postgres --regid postgres --init-groups /usr/lib/postgresql/15/bin/postgres -D /data/db -h 0.0.0.0 -k /tmp"
	for _, node := range []string{"b", "c"} {
		c.docker(node, "run", "--detach", "--name", "db", "--network", "none", "--stop-signal", "SIGINT", "--volume-driver", "drover",
			"-v", "shop_pgdata:/data", debianImage, "/bin/sh", "-c", start)
		c.eventually("the database serves on "+node, func() bool { return c.visits(node, "db") > 0 })
		if n := c.visits(node, "db"); n != seen {
			t.Errorf("plain docker on %s: %d rows, want %d", node, n, seen)
		}
		c.docker(node, "stop", "db")
		c.docker(node, "rm", "db")
	}
}
