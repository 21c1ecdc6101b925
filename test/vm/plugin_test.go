package vm_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/test/harness/testcluster"
	"github.com/drover/drover/test/harness/vm"
)

// TestPlugin has Docker make a ZFS volume with settings of its own, run PostgreSQL on it, and run it
// again on another host with its data. Then Compose does the same with a project.
func TestPlugin(t *testing.T) {
	c := testcluster.OnVMs(t, 2, append(agentFlags(), "--plugin")...)
	try := func(node string, args ...string) (string, error) {
		out, err := c.VMs.Host(node).Docker(args...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	docker := func(node string, args ...string) string {
		t.Helper()
		out, err := try(node, args...)
		if err != nil {
			t.Fatalf("on %s: docker %s: %v: %s", node, strings.Join(args, " "), err, out)
		}
		return out
	}
	if out, err := try("a", "volume", "create", "-d", "drover", "-o", "zfs.recordsize=3", "--name", "bad"); err == nil || !strings.Contains(out, "recordsize") {
		t.Errorf("a setting that ZFS refuses: %v, %s", err, out)
	}
	docker("a", "volume", "create", "-d", "drover", "-o", "size=512M", "-o", "zfs.recordsize=8K", "-o", "backend=zfs", "--name", "pgdata")
	if out := docker("b", "volume", "ls", "-q", "-f", "driver=drover"); out != "pgdata" {
		t.Errorf("volumes on b: %q", out)
	}
	const start = `chown postgres: /data && exec setpriv --reuid postgres --regid postgres --init-groups sh -c '
test -s /data/db/PG_VERSION || /usr/lib/postgresql/15/bin/initdb -D /data/db -U shop -A trust >/dev/null
exec /usr/lib/postgresql/15/bin/postgres -D /data/db -c listen_addresses= -k /tmp'`
	run := func(node string) {
		t.Helper()
		docker(node, "run", "--detach", "--name", "db", "--network", "none", "--stop-signal", "SIGINT", "-v", "pgdata:/data", testcluster.Databases.Name, "sh", "-c", start)
	}
	query := func(node, sql string) string {
		t.Helper()
		for deadline := time.Now().Add(testcluster.Patience); ; time.Sleep(time.Second) {
			out, err := try(node, "exec", "db", "psql", "-h", "/tmp", "-U", "shop", "-tAq", "postgres", "-c", sql)
			if err == nil {
				return out
			}
			if time.Now().After(deadline) {
				t.Fatalf("on %s: %s: %v: %s", node, sql, err, out)
			}
		}
	}
	run("a")
	query("a", "CREATE TABLE IF NOT EXISTS kept AS SELECT generate_series(1, 1000) AS n")
	// Its name is known some seconds after the start at the latest.
	for deadline := time.Now().Add(testcluster.Patience); ; time.Sleep(time.Second) {
		out, err := try("b", "run", "--rm", "--network", "none", "-v", "pgdata:/data", testcluster.Databases.Name, "true")
		if err == nil || !strings.Contains(out, "in use on a by") || time.Now().After(deadline) {
			t.Fatalf("on b, while db uses it on a: %v, %s", err, out)
		}
		if strings.Contains(out, "in use on a by container db") {
			break
		}
	}
	for _, node := range []string{"a", "b"} {
		if node == "b" {
			began := time.Now()
			run(node)
			t.Logf("the volume was on b, and the container ran, after %s", time.Since(began).Round(100*time.Millisecond))
		}
		if out := query(node, "SELECT count(*) FROM kept"); out != "1000" {
			t.Errorf("on %s: %s rows", node, out)
		}
		docker(node, "stop", "--time", "60", "db")
		docker(node, "rm", "db")
	}
	out, err := c.VMs.Host("b").Command("sh", "-c", "zfs get -H -o value -r -t filesystem recordsize tank/drover").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "8K") {
		t.Errorf("recordsize on b: %s, %v", out, err)
	}
	composed(t, c)
}

// composed brings a Compose project up on one host, takes it down, and brings it up on the other one.
func composed(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	count := func(node string) int {
		out, _ := c.VMs.Host(node).Docker("exec", "shop_db_1", "psql", "-h", "/tmp", "-U", "shop", "-tA", "postgres", "-c", "SELECT count(*) FROM visits").Output()
		n, _ := strconv.Atoi(strings.TrimSpace(string(out))) // none while it starts
		return n
	}
	seen := 0
	for _, node := range []string{"a", "b"} {
		compose := func(args ...string) {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), "docker-compose", append([]string{"--project-name", "shop", "--file", "../hosts/testdata/shop.yml"}, args...)...)
			cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+engineOf(t, c.VMs.Host(node)), "COMPOSE_HTTP_TIMEOUT=240",
				"SHOP_PAUSE=2") // in emulation each of its writes takes a second of work
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("on %s: docker-compose %s: %v\n%s", node, strings.Join(args, " "), err, out)
			}
		}
		compose("up", "--detach")
		want := seen + 2
		for deadline := time.Now().Add(testcluster.Patience); count(node) < want; time.Sleep(time.Second) {
			if time.Now().After(deadline) {
				t.Fatalf("on %s there are %d rows, want %d: the data of the other host, and more", node, count(node), want)
			}
		}
		compose("stop", "--timeout", "60", "app")
		seen = count(node)
		t.Logf("the project on %s: %d rows", node, seen)
		compose("down", "--timeout", "60")
	}
}

// engineOf returns a socket on this machine that leads to the engine of a host.
func engineOf(t *testing.T, h *vm.Host) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				cmd := h.Docker("system", "dial-stdio")
				cmd.Stdin, cmd.Stdout = conn, conn
				_ = cmd.Run() // the client sees its end
			}()
		}
	}()
	return path
}
