package hosts_test

import (
	"testing"

	"github.com/drover/drover/internal/testcluster"
)

// TestPostgres moves PostgreSQL ten times around three hosts. Two of them get its image only from
// the host that has it.
func TestPostgres(t *testing.T) {
	c := testcluster.OnHosts(t, 3)
	importDebian(t, c, "a")
	db := postgres()
	c.Deploy(db.Application("db", port), "a")
	l := start(t, c, db, "db", c.Proxy("c", port), 8)
	for n := range 10 {
		to := string("bca"[n%3])
		ended := l.Move(to)
		t.Logf("move %d to %s: pause %s, stop %s, promote %s, %d rounds, image %d MB", n+1, to, ended.Figures.Pause, ended.Figures.Stop,
			ended.Figures.Promote, len(ended.Figures.Rounds), ended.Figures.ImageBytes>>20)
	}
	l.Verify(testcluster.Moved)
}
