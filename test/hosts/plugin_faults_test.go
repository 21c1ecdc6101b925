package hosts_test

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/test/harness/testcluster"
)

// eventually waits until something is so.
func (c docked) eventually(what string, so func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(testcluster.Patience); !so(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("it never came about that %s", what)
		}
	}
}

// writes checks that a container that runs still has its volume.
func (c docked) writes(node, name string) {
	c.t.Helper()
	c.docker(node, "exec", name, "/busybox", "sh", "-c", "date > /data/now && sync && grep -q ' /data ' /proc/mounts")
}

// TestOneOfTwoMounts: of two hosts that begin at the same moment one gets the volume.
func TestOneOfTwoMounts(t *testing.T) {
	c := newDocked(t, 3)
	c.docker("c", "volume", "create", "-d", "drover", "--name", "prize")
	for round := range 5 {
		var group sync.WaitGroup
		said, failed := make([]string, 2), make([]error, 2)
		for i, node := range []string{"a", "b"} {
			group.Go(func() {
				said[i], failed[i] = c.try(node, "run", "--detach", "--network", "none", "--stop-timeout", "1", "--name", "racer", "-v", "prize:/data", busyImage, "/busybox", "sleep", "1000000")
			})
		}
		group.Wait()
		winner, loser := 0, 1
		if failed[0] != nil {
			winner, loser = 1, 0
		}
		if failed[winner] != nil || failed[loser] == nil {
			t.Fatalf("round %d: a: %v %s; b: %v %s", round, failed[0], said[0], failed[1], said[1])
		}
		if !strings.Contains(said[loser], "is moving to") && !strings.Contains(said[loser], "in use on "+string("ab"[winner])) {
			t.Errorf("round %d: the loser is told: %s", round, said[loser])
		}
		for _, node := range []string{"a", "b"} {
			c.docker(node, "rm", "-f", "racer")
		}
	}
}

// TestEnginesAreAnswered lists volumes while something is dead.
func TestEnginesAreAnswered(t *testing.T) {
	c := newDocked(t, 2)
	c.docker("a", "volume", "create", "-d", "drover", "--name", "here")
	c.docker("b", "volume", "create", "-d", "drover", "--name", "there")
	c.sleeper("a", "web", "here")
	answered := func(what string) {
		t.Helper()
		for _, args := range [][]string{{"ps"}, {"volume", "ls", "-q"}, {"volume", "inspect", "here"}, {"volume", "inspect", "there"}} {
			within(t, time.Second, what+": docker "+strings.Join(args, " "), func() { c.docker("a", args...) })
		}
		if out := c.docker("a", "volume", "ls", "-q", "-f", "driver=drover"); out != "here\nthere" {
			t.Errorf("%s: volumes %q", what, out)
		}
	}
	c.eventually("a knows of both", func() bool { return c.docker("a", "volume", "ls", "-q", "-f", "driver=drover") == "here\nthere" })
	answered("all alive")
	c.Kill("a")
	answered("the agent killed")
	c.Kill(localcluster.Control)
	answered("the control service killed too")
	c.PowerOff("b")
	answered("the other host off too")
	if err := c.Run("a"); err != nil {
		t.Fatal(err)
	}
	c.eventually("a mounts what is its own while the control service is away", func() bool {
		_, err := c.try("a", busy("here", "true")...)
		return err == nil
	})
	within(t, 30*time.Second, "the refusal", func() {
		if out := c.fails("a", busy("there", "true")...); !strings.Contains(out, "was on b") || !strings.Contains(out, "control service") {
			t.Errorf("a mount of what is elsewhere while the control service is away: %s", out)
		}
	})
	c.writes("a", "web")
	if err := c.Run(localcluster.Control); err != nil {
		t.Fatal(err)
	}
	c.PowerOn("b")
	c.Process("a").Freeze()
	answered("the agent hangs")
	c.Process("a").Thaw()
	c.Process(localcluster.Control).Freeze()
	answered("the control service hangs")
	c.Process(localcluster.Control).Thaw()
}

// TestProcessesDieUnderContainers kills the agent, the engine and both while a container runs.
func TestProcessesDieUnderContainers(t *testing.T) {
	c := newDocked(t, 2)
	c.docker("a", "volume", "create", "-d", "drover", "--name", "data")
	c.sleeper("a", "web", "data", "--restart", "always")
	host := c.Network.Host("a")
	restartEngine := func() {
		ctx, cancel := context.WithTimeout(t.Context(), testcluster.Patience)
		defer cancel()
		if err := host.StartEngine(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		what string
		harm func()
	}{
		{"the agent is killed", func() { c.Restart("a") }},
		{"the engine is killed", func() { host.StopEngine(syscall.SIGKILL); restartEngine() }},
		{"the engine is stopped", func() { host.StopEngine(syscall.SIGTERM); restartEngine() }},
		{"both are killed", func() {
			c.Kill("a")
			host.StopEngine(syscall.SIGKILL)
			started := make(chan struct{})
			go func() { defer close(started); restartEngine() }()
			c.Restart("a")
			<-started
		}},
		{"the host is powered off", func() {
			c.PowerOff("a")
			started := make(chan struct{})
			go func() { defer close(started); restartEngine() }()
			c.Restart("a")
			<-started
		}},
	} {
		t.Run(row.what, func(t *testing.T) {
			c := docked{c.Cluster, t}
			row.harm()
			c.eventually("web runs", func() bool {
				out, err := c.try("a", "inspect", "--format", "{{.State.Running}}", "web")
				return err == nil && out == "true"
			})
			c.writes("a", "web")
			c.eventually("b is told that web uses it", func() bool {
				return strings.Contains(c.fails("b", busy("data", "true")...), "in use on a by container web")
			})
		})
	}
	// The engine and the agent die, and the container is gone when they are back.
	c.Kill("a")
	host.StopEngine(syscall.SIGKILL)
	started := make(chan struct{})
	go func() { defer close(started); restartEngine() }()
	c.Restart("a")
	<-started
	c.Kill("a")
	c.docker("a", "rm", "-f", "web")
	c.Restart("a")
	within(t, 30*time.Second, "to find the volume free", func() {
		c.eventually("the volume is free", func() bool {
			_, err := c.try("b", busy("data", "cat", "/data/now")...)
			return err == nil
		})
	})
}
