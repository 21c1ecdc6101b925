package hosts_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/test/harness/testcluster"
)

// busyImage holds a shell and its tools alone.
const busyImage = "drover-test-busy:1"

// A docked cluster is hosts whose engines have the volume plugin.
type docked struct {
	*testcluster.Cluster
	t *testing.T
}

func newDocked(t *testing.T, nodes int) docked {
	t.Helper()
	c := docked{testcluster.OnHosts(t, nodes, "--plugin"), t}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range c.Network.Hosts {
		if err := h.Import(busyImage, busybox); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// try runs a docker command against a host's engine, which has a minute.
func (c docked) try(node string, args ...string) (string, error) {
	cmd := c.Network.Host(node).Docker(args...)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	defer context.AfterFunc(ctx, func() { cmd.Process.Kill() })()
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (c docked) docker(node string, args ...string) string {
	c.t.Helper()
	out, err := c.try(node, args...)
	if err != nil {
		c.t.Fatalf("on %s: docker %s: %v: %s", node, strings.Join(args, " "), err, out)
	}
	return out
}

// fails returns what a docker command says that must not work.
func (c docked) fails(node string, args ...string) string {
	c.t.Helper()
	out, err := c.try(node, args...)
	if err == nil {
		c.t.Fatalf("on %s: docker %s: it worked: %s", node, strings.Join(args, " "), out)
	}
	return out
}

// busy are the arguments of a run with a volume.
func busy(volume string, args ...string) []string {
	return append([]string{"run", "--rm", "--network", "none", "-v", volume + ":/data", busyImage, "/busybox"}, args...)
}

// sleeper starts a container that keeps a volume until it is stopped.
func (c docked) sleeper(node, name, volume string, flags ...string) {
	c.t.Helper()
	args := append([]string{"run", "--detach", "--init=false", "--network", "none", "--stop-timeout", "1", "--name", name, "-v", volume + ":/data"}, flags...)
	c.docker(node, append(args, busyImage, "/busybox", "sleep", "1000000")...)
}

// within fails the test if something takes longer.
func within(t *testing.T, limit time.Duration, what string, do func()) {
	t.Helper()
	began := time.Now()
	do()
	if took := time.Since(began); took > limit {
		t.Errorf("%s took %s, want at most %s", what, took, limit)
	} else {
		t.Logf("%s took %s", what, took.Round(time.Millisecond))
	}
}

// TestPlugin: a volume is made on one host, and found with its data on another.
func TestPlugin(t *testing.T) {
	c := newDocked(t, 3)
	c.docker("a", "volume", "create", "-d", "drover", "-o", "size=1G", "-o", "labels=tier=db,team=x", "--name", "pgdata")
	c.docker("a", "volume", "create", "-d", "drover", "--name", "pgdata") // it is there
	if out := c.fails("a", "volume", "create", "-d", "drover", "-o", "sise=1G", "--name", "other"); !strings.Contains(out, "sise") || !strings.Contains(out, "did you mean size") {
		t.Errorf("an unknown option: %s", out)
	}
	c.docker("a", busy("pgdata", "sh", "-c", "echo hello > /data/file")...)
	for _, node := range []string{"b", "c", "a"} {
		within(t, 20*time.Second, "run on "+node, func() {
			if out := c.docker(node, busy("pgdata", "cat", "/data/file")...); out != "hello" {
				t.Errorf("on %s: %q", node, out)
			}
		})
		for _, each := range c.NodeNames() {
			if out := c.docker(each, "volume", "ls", "-f", "driver=drover", "--format", "{{.Name}} {{.Scope}}"); out != "pgdata global" {
				t.Errorf("volumes on %s: %q", each, out)
			}
			if out := c.docker(each, "volume", "inspect", "--format", "{{.Status.owner}} {{.Status.labels.tier}}", "pgdata"); out != node+" db" {
				t.Errorf("volume inspect on %s: %q, want %s", each, out, node)
			}
		}
	}
	c.sleeper("a", "web", "pgdata")
	refused := func(when string) {
		t.Helper()
		within(t, 5*time.Second, "the refusal", func() {
			out := c.fails("b", busy("pgdata", "cat", "/data/file")...)
			t.Log(out)
			if !strings.Contains(out, "in use on a by container web") {
				t.Errorf("run on b %s: %s", when, out)
			}
		})
	}
	refused("while web uses it on a")
	// The engine mounts the volumes of a container once more to copy out of it.
	for _, path := range []string{"/data/file", "/etc/hostname"} {
		c.docker("a", "cp", "web:"+path, "-")
		refused("after " + path + " was copied out of web")
	}
	c.docker("a", "rm", "-f", "web")
	c.docker("b", busy("pgdata", "cat", "/data/file")...)
	c.docker("c", "volume", "rm", "pgdata")
	if _, err := c.Control().UndeleteVolume(t.Context(), "pgdata"); err != nil {
		t.Fatal(err)
	}
	if out := c.docker("c", busy("pgdata", "cat", "/data/file")...); out != "hello" {
		t.Errorf("after rm and undelete: %q", out)
	}
}
