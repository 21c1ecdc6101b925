package client

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// TestWhatIsWaitedForInVain is only what nodes alone could end that are gone.
func TestWhatIsWaitedForInVain(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lost := wire.GoneNode{Name: "a", Since: since, Waits: []string{"db: not healthy on a"}}
	removed := wire.GoneNode{Name: "b", Since: since, Removed: true, Waits: []string{"web: runs nowhere"}}
	for _, row := range []struct {
		rule   string
		status wire.Status
		words  []string
	}{
		{"nothing is missing", wire.Status{}, nil},
		{"all nodes are there", wire.Status{Pending: []string{"c: starts"}}, nil},
		{"something else is missing too", wire.Status{Pending: []string{"c: starts", "db: not healthy on a"}, Gone: []wire.GoneNode{lost}}, nil},
		{"a node that is silent", wire.Status{Pending: []string{"db: not healthy on a"}, Gone: []wire.GoneNode{lost}},
			[]string{"node a, which has not been heard of since 2026-01-02 03:04:05 UTC (db: not healthy on a)", "bring a back", "drover node rm a", "drover node replace a NODE"}},
		{"one that was removed, too", wire.Status{Pending: []string{"db: not healthy on a", "web: runs nowhere"}, Gone: []wire.GoneNode{lost, removed}},
			[]string{"; and for node b, which was removed at 2026-01-02 03:04:05 UTC (web: runs nowhere)"}},
	} {
		err := stuck(row.status.Missing())
		if len(row.words) == 0 && err != nil || len(row.words) > 0 && !errors.Is(err, cluster.ErrUnavailable) {
			t.Errorf("%s: %v", row.rule, err)
		}
		for _, word := range row.words {
			if err == nil || !strings.Contains(err.Error()+cluster.Hint(err), word) {
				t.Errorf("%s: %v (hint %q) does not say %q", row.rule, err, cluster.Hint(err), word)
			}
		}
	}
}
