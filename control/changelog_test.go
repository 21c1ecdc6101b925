package control

import (
	"slices"
	"testing"

	"github.com/drover/drover/cluster"
)

// TestAChangelogTellsTheNewestOfEachKey, of deletions too, and forgets those that are longest ago.
func TestAChangelogTellsTheNewestOfEachKey(t *testing.T) {
	var c changelog[int, string]
	var revision cluster.Revision
	next := func() cluster.Revision { revision++; return revision }
	want := func(since cluster.Revision, values []string, gone []int) {
		t.Helper()
		if v, g := c.split(since); !slices.Equal(v, values) || !slices.Equal(g, gone) {
			t.Errorf("since %d: %v and without %v, want %v and without %v", since, v, g, values, gone)
		}
	}
	c.note(1, "a", false, next)
	c.note(2, "b", false, next)
	if c.note(1, "a", false, next) || c.note(9, "", true, next) {
		t.Error("nothing changed, and it is news")
	}
	c.note(1, "c", false, next)
	want(0, []string{"b", "c"}, nil)
	want(2, []string{"c"}, nil)
	c.note(2, "", true, next)
	want(0, []string{"c"}, []int{2})
	want(3, nil, []int{2})
	want(4, nil, nil)
	c.note(2, "d", false, next)
	want(3, []string{"d"}, nil)
	if c.last(4) != 4 || c.last(100) != 5 || c.last(0) != 0 {
		t.Errorf("the last ones are %d, %d, %d", c.last(4), c.last(100), c.last(0))
	}

	for i := range 10 * mostGone {
		c.note(100+i, "x", false, next)
		c.note(100+i, "", true, next)
	}
	if len(c.entries) > 4*mostGone || len(c.newest) > 4*mostGone {
		t.Errorf("%d entries of %d keys are kept", len(c.entries), len(c.newest))
	}
	if c.from == 0 || c.from > revision-2*mostGone {
		t.Errorf("it goes back to %d of %d", c.from, revision)
	}
	if v, gone := c.split(c.from); !slices.Equal(v, []string{}) || len(gone) < mostGone {
		t.Errorf("from there it tells of %v and without %d", v, len(gone))
	}
	want(revision-2, nil, []int{100 + 10*mostGone - 1})
}
