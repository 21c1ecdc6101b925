package cluster_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/internal/workload/postgres"
	"github.com/drover/drover/test/harness/testcluster"
)

// TestKilledInEachPhase kills each party of a move at each point where that could matter, lets
// everything come back, and asks whether the move ended, where the application runs, and whether
// anything is lost.
func TestKilledInEachPhase(t *testing.T) {
	const source, target, control = "a", "b", localcluster.Control
	for _, row := range []struct {
		victim, point string
		// committed: by then the target is the owner, or will be.
		committed bool
	}{
		{source, "handoff.precopy", false},
		{source, "handoff.hold", false},
		{source, "handoff.stop", false},
		{source, "handoff.final", false},
		{source, "handoff.commit.before", false},
		{source, "handoff.commit.after", true},
		{target, "arrive.ready", false},
		{target, "arrive.receive", false},
		{target, "promote.open", true},
		{target, "promote.start", true},
		{control, "control.hold", false},
		{control, "control.commit.before", false},
		{control, "control.commit.after", true},
	} {
		t.Run(row.victim+" at "+row.point, func(t *testing.T) {
			t.Parallel()
			c := testcluster.New(t, 3)
			l := deployLedger(t, c, source, "c", 4)
			c.FailAt(row.victim, row.point)
			l.Progress()
			move := c.Move(app, target)
			c.WaitDead(row.victim)
			c.Restart(row.victim)
			ended := c.WaitMove(move.ID)
			if row.committed && ended.Phase != cluster.PhaseDone {
				t.Errorf("the move was committed and ended as %s: %s", ended.Phase, ended.Reason)
			}
			where := source
			if ended.Phase == cluster.PhaseDone {
				where = target
			}
			c.RunsOn(app, where)
			l.Verify(testcluster.Moved)
		})
	}
}

// TestCutOff cuts connections for a while during a move.
func TestCutOff(t *testing.T) {
	for _, row := range []struct {
		rule string
		cut  func(*testcluster.Cluster)
	}{
		{"the way to the target breaks: the transfer goes on where it was", func(c *testcluster.Cluster) { c.CutTransfer("b") }},
		{"the source is cut off from the control service", func(c *testcluster.Cluster) { c.CutControl("a") }},
		{"the target is cut off from the control service", func(c *testcluster.Cluster) { c.CutControl("b") }},
		{"the target is alone", func(c *testcluster.Cluster) { c.Partition("b") }},
		{"a proxy is cut off from the control service", func(c *testcluster.Cluster) { c.CutControl("c") }},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			c := testcluster.New(t, 3)
			l := deployLedger(t, c, "a", "a", 32)
			c.Slow("b", 16<<20)
			move := c.Move(app, "b")
			waitPhase(t, c, move.ID, cluster.PhasePrecopy)
			row.cut(c)
			time.Sleep(3 * time.Second) // the length of the fault, not a wait for anything
			c.Heal()
			c.Slow("b", 0)
			ended := c.WaitMove(move.ID)
			if ended.Phase != cluster.PhaseDone {
				t.Errorf("the move ended as %s: %s", ended.Phase, ended.Reason)
			}
			c.RunsOn(app, "b")
			l.Verify(testcluster.Moved)
		})
	}
}

// TestANewAttemptGoesOnWhereTheOldOneStopped kills the source's agent while it ships: what has
// arrived is not shipped again.
func TestANewAttemptGoesOnWhereTheOldOneStopped(t *testing.T) {
	t.Parallel()
	const megabytes = 48
	c := testcluster.New(t, 2)
	l := deployLedger(t, c, "a", "b", megabytes)
	c.Slow("b", 12<<20)
	move := c.Move(app, "b")
	waitShipped(t, c, move.ID, 24<<20)
	c.Restart("a")
	c.Slow("b", 0)
	ended := c.WaitMove(move.ID)
	if ended.Phase != cluster.PhaseDone || ended.Attempt < 2 {
		t.Errorf("attempt %d ended as %s: %s", ended.Attempt, ended.Phase, ended.Reason)
	}
	// What was shipped in vain is what was on its way: buffers, and the last report's age.
	if shipped := ended.Stats.PrecopiedBytes(); shipped > megabytes<<20*3/2 {
		t.Errorf("%d bytes were shipped for %d: the second attempt began anew", shipped, megabytes<<20)
	}
	c.RunsOn(app, "b")
	l.Verify(testcluster.Moved)
}

// waitShipped waits until a move has shipped that many bytes.
func waitShipped(t *testing.T, c *testcluster.Cluster, id cluster.MoveID, bytes int64) {
	t.Helper()
	for deadline := time.Now().Add(testcluster.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		move, _, err := c.Control().Move(t.Context(), id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if move.Stats.PrecopiedBytes() >= bytes {
			return
		}
	}
	t.Fatalf("move %s never shipped %d bytes", id, bytes)
}

// TestRefused asks for moves that cannot be: they end at once, and nothing has changed.
func TestRefused(t *testing.T) {
	t.Run("a full disk on the target is found before anything changes", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("CANNOT RUN: only root can mount a small file system")
		}
		c := testcluster.New(t, 2)
		c.Kill("b")
		small := filepath.Join(c.NodeDir("b"), "volumes")
		if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=16m"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(small, unix.MNT_DETACH) })
		c.Restart("b")
		l := deployLedger(t, c, "a", "a", 32)
		waitUsed(t, c, 32<<20)
		ended := c.WaitMove(c.Move(app, "b").ID)
		if ended.Phase != cluster.PhaseRolledBack || !strings.Contains(ended.Reason, "MiB free") {
			t.Errorf("the move ended as %s: %s", ended.Phase, ended.Reason)
		}
		if len(ended.Stats.Rounds) != 0 || ended.Attempt != 1 {
			t.Errorf("it was not refused in prepare: %+v", ended)
		}
		c.RunsOn(app, "a")
		l.Verify(testcluster.Moved)
	})
	t.Run("an application that ignores its stop signal goes on where it is", func(t *testing.T) {
		t.Parallel()
		c := testcluster.New(t, 2)
		c.Deploy(cluster.Application{
			Name: app, Command: []string{"/bin/sh", "-c", `trap "" TERM; while :; do sleep 0.1; done`},
			Volume: &cluster.Attachment{Volume: cluster.VolumeIDForName(app), Mountpoint: "/data"},
			Stop:   cluster.StopPolicy{Timeout: time.Second},
		}, "a")
		ended := c.WaitMove(c.Move(app, "b").ID)
		if ended.Phase != cluster.PhaseRolledBack || !strings.Contains(ended.Reason, "ignored SIGTERM") {
			t.Errorf("the move ended as %s: %s", ended.Phase, ended.Reason)
		}
		c.RunsOn(app, "a")
	})
	t.Run("an aborted move leaves the application where it is", func(t *testing.T) {
		t.Parallel()
		c := testcluster.New(t, 2)
		l := deployLedger(t, c, "a", "b", 32)
		c.Slow("b", 4<<20)
		move := c.Move(app, "b")
		waitPhase(t, c, move.ID, cluster.PhasePrecopy)
		if _, err := c.Control().AbortMove(t.Context(), move.ID); err != nil {
			t.Fatal(err)
		}
		if ended := c.WaitMove(move.ID); ended.Phase != cluster.PhaseRolledBack {
			t.Errorf("the move ended as %s: %s", ended.Phase, ended.Reason)
		}
		c.Slow("b", 0)
		c.RunsOn(app, "a")
		l.Verify(testcluster.Moved)
	})
}

// waitUsed waits until the ledger's volume is known to hold that much.
func waitUsed(t *testing.T, c *testcluster.Cluster, bytes int64) {
	t.Helper()
	for deadline := time.Now().Add(testcluster.Patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		v, err := c.Control().Volume(t.Context(), string(app))
		if err != nil {
			t.Fatal(err)
		}
		for _, held := range v.Copies {
			if held.Copy.UsedBytes >= bytes {
				return
			}
		}
	}
	t.Fatalf("the volume never held %d bytes", bytes)
}

// TestPostgres moves a real PostgreSQL three times under load.
func TestPostgres(t *testing.T) {
	if err := postgres.Available(); err != nil {
		t.Skipf("CANNOT RUN: PostgreSQL: %v", err)
	}
	t.Parallel()
	c := testcluster.New(t, 3)
	db := postgres.Database{}
	c.Deploy(db.Application(app, port), "a")
	address := c.Proxy("c", port)
	if err := db.Prepare(t.Context(), address, 8, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	l := c.Load(db, app, address)
	for _, to := range []string{"b", "c", "a"} {
		l.Progress()
		if ended := c.WaitMove(c.Move(app, to).ID); ended.Phase != cluster.PhaseDone {
			t.Fatalf("the move to %s ended as %s: %s", to, ended.Phase, ended.Reason)
		}
	}
	c.RunsOn(app, "a")
	l.Verify(testcluster.Moved)
}

// TestSoak moves a ledger for as long as DROVER_SOAK says while processes are killed at random.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("DROVER_SOAK"))
	if err != nil {
		t.Skip("DROVER_SOAK is not set: `make soak` runs this")
	}
	c := testcluster.New(t, 3)
	l := deployLedger(t, c, "a", "c", 16)
	for end := time.Now().Add(length); time.Now().Before(end); {
		to := c.NodeNames()[rand.IntN(3)]
		move, err := c.Control().RequestMove(t.Context(), wire.MoveRequest{Application: app, To: to})
		if err != nil {
			continue // it is there already, or another move is under way
		}
		time.Sleep(rand.N(1500 * time.Millisecond))
		c.Restart([]string{"a", "b", "c", localcluster.Control}[rand.IntN(4)])
		if move.ID != "" {
			ended := c.WaitMove(move.ID)
			t.Logf("to %s: %s %s", to, ended.Phase, ended.Reason)
		}
		l.Progress()
	}
	c.RunsOn(app, "")
	l.Verify(testcluster.ProxyKilled)
}

// waitPhase waits until a move is in that phase or a later one.
func waitPhase(t *testing.T, c *testcluster.Cluster, id cluster.MoveID, want cluster.Phase) {
	t.Helper()
	deadline := time.Now().Add(testcluster.Patience)
	for {
		moves, err := c.Control().Moves(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range moves {
			if m.ID == id && (m.Phase == want || m.Phase.Holds() || m.Phase.Ended()) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("move %s never came to %s", id, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
