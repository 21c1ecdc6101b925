package hosts_test

import (
	"testing"

	"github.com/drover/drover/test/harness/testcluster"
)

// TestBetweenBackends moves PostgreSQL from a host with btrfs to one that has plain directories,
// and back.
func TestBetweenBackends(t *testing.T) {
	c := testcluster.OnHosts(t, 2)
	importDebian(t, c, "a")
	importDebian(t, c, "b")
	c.Network.Host("b").AgentFlags = []string{"--backend", "dir"}
	c.Restart("b")
	db := database()
	c.Deploy(db.Application("db", port), "a")
	l := start(t, c, db, "db", c.Proxy("a", port), 16)
	for _, to := range []string{"b", "a", "b", "a"} {
		ended := l.Move(to)
		t.Logf("to %s: pause %s, %d MB in %d rounds, then %d KB", to, ended.Stats.Pause, ended.Stats.PrecopiedBytes()>>20,
			len(ended.Stats.Rounds), ended.Stats.Final.Bytes>>10)
	}
	l.Verify(testcluster.Moved)
}
