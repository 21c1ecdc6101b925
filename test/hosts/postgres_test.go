package hosts_test

import (
	"os/exec"
	"strconv"
	"testing"

	"github.com/drover/drover/test/harness/testcluster"
)

// TestPostgres moves PostgreSQL ten times around three hosts, under the clients that check and under
// pgbench. Two hosts get its image only from the host that has it.
func TestPostgres(t *testing.T) {
	c := testcluster.OnHosts(t, 3)
	importDebian(t, c, "a")
	db := database()
	c.Deploy(db.Application("db", port), "a")
	l := start(t, c, db, "db", c.Proxy("c", port), 8)
	initialise(t, c.Address("c"))
	runs := repeat(t, "pgbench", "-h", c.Address("c"), "-p", strconv.Itoa(port), "-U", "bank", "-n", "-c", "2", "-R", "100", "-T", "600", "postgres")
	var whole int64 // what a first visit ships
	for n := range 10 {
		to := string("bca"[n%3])
		ended := l.Move(to)
		shipped := ended.Stats.PrecopiedBytes()
		t.Logf("move %d to %s: pause %s, stop %s, promote %s, %d MB in %d rounds, image %d MB", n+1, to, ended.Stats.Pause, ended.Stats.Stop,
			ended.Stats.Promote, shipped>>20, len(ended.Stats.Rounds), ended.Stats.ImageBytes>>20)
		if n < 2 {
			whole = shipped
		} else if shipped > whole/2 {
			t.Errorf("move %d shipped %d bytes to a host that had the volume before, of %d in all", n+1, shipped, whole)
		}
	}
	t.Logf("pgbench was started %d times", runs())
	l.Verify(testcluster.Moved)
}

// initialise makes pgbench's tables.
func initialise(t *testing.T, host string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pgbench", "-h", host, "-p", strconv.Itoa(port), "-U", "bank", "-i", "-s", "5", "-q", "postgres").CombinedOutput()
	if err != nil {
		t.Fatalf("pgbench -i: %v: %s", err, out)
	}
}
