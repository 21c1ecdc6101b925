package localcluster

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

func TestNamesAndAddresses(t *testing.T) {
	c := &Cluster{Nodes: 3, Network: "127.1.2", Dir: "/d"}
	if got := c.NodeNames(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("nodes %v", got)
	}
	for name, want := range map[string]string{Control: "127.1.2.1", "a": "127.1.2.2", "c": "127.1.2.4"} {
		if got := c.Address(name); got != want {
			t.Errorf("%s is at %s, want %s", name, got, want)
		}
	}
	if got := c.ControlAddress(); got != "127.1.2.1:4523" {
		t.Errorf("the service is at %s", got)
	}
}

func TestAnImpossibleNumberOfNodes(t *testing.T) {
	for _, n := range []int{0, 27, -1} {
		if err := (&Cluster{Nodes: n, Dir: t.TempDir()}).Start(t.Context()); !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%d nodes: %v", n, err)
		}
	}
}

// TestIdentitiesAreKept: a cluster that is started again over the same directory is the same.
func TestIdentitiesAreKept(t *testing.T) {
	c := &Cluster{Nodes: 2, Network: "127.1.2", Dir: t.TempDir()}
	if err := errors.Join(c.makeDirs(), c.makeIdentities()); err != nil {
		t.Fatal(err)
	}
	first := c.NodeID("b")
	again := &Cluster{Nodes: 2, Network: "127.1.2", Dir: c.Dir}
	if err := errors.Join(again.makeDirs(), again.makeIdentities()); err != nil {
		t.Fatal(err)
	}
	if first == "" || again.NodeID("b") != first || first == c.NodeID("a") {
		t.Errorf("node b was %q and is %q", first, again.NodeID("b"))
	}
	if info, err := os.Stat(filepath.Join(c.NodeDir("a"), "pki", "node.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key is %v, %v", info, err)
	}
}

// TestADirectoryIsOneClustersAlone: a second one in it is refused, and ends nothing of the first.
func TestADirectoryIsOneClustersAlone(t *testing.T) {
	first := &Cluster{Nodes: 1, Dir: t.TempDir()}
	if err := first.takeDir(); err != nil {
		t.Fatal(err)
	}
	second := &Cluster{Nodes: 1, Dir: first.Dir}
	if err := second.Start(t.Context()); !errors.Is(err, cluster.ErrConflict) || cluster.Hint(err) == "" {
		t.Errorf("a second cluster in %s: %v", first.Dir, err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := second.takeDir(); err != nil {
		t.Errorf("after the first one has ended: %v", err)
	}
}

// TestWhatEndsByItselfIsStartedAgain, and it is said, with what it wrote.
func TestWhatEndsByItselfIsStartedAgain(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "drover")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$1 fails\"\n[ \"$1\" != agent ] || exit 7\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := &Cluster{Binary: program, Dir: dir, Nodes: 1, Network: "127.1.2"}
	for _, name := range []string{Control, "a"} {
		if err := c.Run(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { c.Kill(Control) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var said []string
	err := c.Keep(ctx, func(line string) {
		if said = append(said, line); len(said) == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || len(said) < 3 {
		t.Fatalf("%v, said %q", err, said)
	}
	for i, want := range []string{"the agent of node a has ended: exit status 7; the last lines of " + dir + "/a.log:\nagent fails\nit is started again in 1s",
		"the agent of node a is started again", "agent fails\nagent fails\nit is started again in 2s"} {
		if !strings.HasSuffix(said[i], want) {
			t.Errorf("line %d is %q, want %q", i, said[i], want)
		}
	}
}

// TestAClusterEndsWithWhatRunsIt, also when that is killed.
func TestAClusterEndsWithWhatRunsIt(t *testing.T) {
	dir := os.Getenv("DROVER_TEST_DIR")
	if dir != "" {
		script := filepath.Join(dir, "told")
		if _, err := startProcess(exec.Command("sh", "-c", `trap 'touch "$0"; exit' TERM; echo ready; for i in $(seq 600); do sleep 0.1; done`, script), "", nil, script+".log"); err != nil {
			t.Fatal(err)
		}
		for log := ""; log != "ready\n"; time.Sleep(time.Millisecond) {
			b, _ := os.ReadFile(script + ".log")
			log = string(b)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	dir = t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	killed := exec.Command(program, "-test.run", "^"+t.Name()+"$")
	killed.Env = append(os.Environ(), "DROVER_TEST_DIR="+dir)
	out, err := killed.CombinedOutput()
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v: %s", err, out)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "told")); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("what it started goes on")
		}
	}
}
