package vm_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload/postgres"
	"github.com/drover/drover/test/harness/testcluster"
)

const port = 17000

// agentFlags are added to the command line of every agent: DROVER_VM_FLAGS="--backend dir" tries the
// same with another backend than ZFS.
func agentFlags() []string { return strings.Fields(os.Getenv("DROVER_VM_FLAGS")) }

// TestPostgres moves PostgreSQL around three hosts, under the clients that check and under pgbench. A
// host loses its cable in mid pre-copy, another its power when it has just given the volume away.
// Each time the ledger is complete in the end.
func TestPostgres(t *testing.T) {
	c := testcluster.OnVMs(t, 3, agentFlags()...)
	db := postgres.Database{Image: testcluster.Databases.Name}
	app := db.Application("db", port)
	app.Health.Interval, app.Health.Timeout = 5*time.Second, 30*time.Second // to ask takes a second in emulation
	c.Deploy(app, "a")
	if err := db.Prepare(t.Context(), c.Proxy("c", port), 0, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	initialise(t, c.Address("c"))
	l := c.Load(db, "db", c.Proxy("c", port))
	runs := background(t, c.Address("c"))
	// The clients' own proxy is on c, whose agent is left alone.
	unplugged(t, c, l, "a", "b")
	powerLost(t, c, l, "b", "c")
	tell(t, l.Move("a"))
	c.RunsOn("db", "a")
	t.Logf("pgbench was started %d times", runs())
	l.Verify(testcluster.Crashed)
}

// unplugged takes the target's cable out in mid pre-copy, and puts it in again.
func unplugged(t *testing.T, c *testcluster.Cluster, l *testcluster.Load, source, target string) {
	t.Helper()
	c.StopAt(source, "handoff.precopy")
	l.Progress()
	move := c.Move("db", target)
	c.WaitStopped(source)
	host := c.VMs.Host(target)
	if err := c.VMs.Unplug(host); err != nil {
		t.Fatal(err)
	}
	if err := c.Process(source).Thaw(); err != nil {
		t.Fatal(err)
	}
	l.Progress() // nobody but the move notices
	if err := c.VMs.Plug(host); err != nil {
		t.Fatal(err)
	}
	ended := c.WaitMove(move.ID)
	tell(t, ended)
	l.Progress()
	if ended.Phase != cluster.PhaseDone {
		tell(t, l.Move(target))
	}
}

// powerLost takes the source's power away right after the commit: the target goes on without it.
func powerLost(t *testing.T, c *testcluster.Cluster, l *testcluster.Load, source, target string) {
	t.Helper()
	c.StopAt(source, "handoff.commit.after")
	l.Progress()
	move := c.Move("db", target)
	c.WaitStopped(source)
	c.PowerOff(source)
	l.Progress()
	c.PowerOn(source)
	ended := c.WaitMove(move.ID)
	tell(t, ended)
	if ended.Phase != cluster.PhaseDone {
		t.Errorf("the move was committed and ended as %s: %s", ended.Phase, ended.Reason)
	}
}

func tell(t *testing.T, move cluster.Move) {
	t.Helper()
	f := move.Stats
	t.Logf("the move ended as %s after %d attempts: pause %s, %d MB in %d rounds, then %d KB", move.Phase, move.Attempt, f.Pause,
		f.PrecopiedBytes()>>20, len(f.Rounds), f.Final.Bytes>>10)
}

// initialise makes pgbench's tables.
func initialise(t *testing.T, host string) {
	t.Helper()
	if out, err := pgbench(t.Context(), host, "-i", "-s", "1", "-q").CombinedOutput(); err != nil {
		t.Fatalf("pgbench -i: %v: %s", err, out)
	}
}

// background runs pgbench, again whenever its connections break, until the test ends or the
// function that it returns is called, which says how often it was started.
func background(t *testing.T, host string) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	runs := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			_ = pgbench(ctx, host, "-n", "-c", "1", "-R", "2", "-T", "600").Run() // a break is no failure
		}
		runs <- n
	}()
	stop = sync.OnceValue(func() int {
		cancel()
		return <-runs
	})
	t.Cleanup(func() { stop() })
	return stop
}

func pgbench(ctx context.Context, host string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "pgbench", append([]string{"-h", host, "-p", strconv.Itoa(port), "-U", "bank"}, append(args, "postgres")...)...)
}
