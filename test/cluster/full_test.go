package cluster_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload/ledger"
	"github.com/drover/drover/test/harness/powercut"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestAnApplicationThatFillsItsDiskIsMovedAway though all that its node keeps is on that disk, and every
// block and inode that becomes free is taken at once by a neighbour.
func TestAnApplicationThatFillsItsDiskIsMovedAway(t *testing.T) {
	disk := powercut.New(t, "ext4", 128<<20)
	c := testcluster.New(t, 2)
	db := ledger.Database{Binary: testcluster.Binary(t)}
	c.Deploy(db.Application(app, port), "a")
	if err := db.Prepare(t.Context(), c.Proxy("a", port), 1, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	if ended := c.WaitMove(c.Move(app, "b").ID); ended.Phase != cluster.PhaseDone {
		t.Fatalf("the move to b ended as %s: %s", ended.Phase, ended.Reason)
	}
	c.Kill("a")
	node := c.NodeDir("a")
	if out, err := exec.Command("cp", "-a", node+"/.", disk.Path()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := unix.Mount(disk.Path(), node, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // what runs is found by what is on the disk
		if err := errors.Join(c.Stop(), unix.Unmount(node, unix.MNT_DETACH)); err != nil {
			t.Error(err)
		}
	})
	c.Restart("a")
	if ended := c.WaitMove(c.Move(app, "a").ID); ended.Phase != cluster.PhaseDone {
		t.Fatalf("the move to a ended as %s: %s", ended.Phase, ended.Reason)
	}
	neighbour := filepath.Join(node, "neighbour")
	if err := os.MkdirAll(filepath.Join(neighbour, "filled"), 0o700); err != nil { // later there is no inode for it
		t.Fatal(err)
	}
	powercut.Fill(t, filepath.Join(node, "volumes", string(cluster.VolumeIDForName(app)), "data"))
	filling := make(chan struct{})
	go func() {
		defer close(filling)
		for range 100 { // for about as long as the move takes
			powercut.Fill(t, neighbour)
			time.Sleep(50 * time.Millisecond)
		}
	}()
	ended := c.WaitMove(c.Move(app, "b").ID)
	<-filling
	if ended.Phase != cluster.PhaseDone || ended.Attempt != 1 {
		t.Errorf("the move to b ended at attempt %d as %s: %s", ended.Attempt, ended.Phase, ended.Reason)
	}
	c.RunsOn(app, "b")
}
