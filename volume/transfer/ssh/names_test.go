package ssh

import (
	"testing"

	"github.com/drover/drover/cluster"
)

// TestWhatAVolumeIsListedAsLeadsToIt, whatever people call their volumes.
func TestWhatAVolumeIsListedAsLeadsToIt(t *testing.T) {
	const one, two = "b1f3ba5e-77b7-4b0a-9e5e-0d3e4ce5a1b2", "c1f3ba5e-77b7-4b0a-9e5e-0d3e4ce5a1b2"
	for _, row := range []struct {
		rule, name string
		named      bool // it is listed by its name
	}{
		{"a name", "pgdata", true},
		{"no name", "", false},
		{"a way out", "..", false},
		{"a path", "a/b", false},
		{"a name that would be cut", "a\nb", false},
		{"the id of another volume", two, false},
	} {
		names := volumeNames{one: row.name, two: "other"}
		shown := names.shown(one)
		if id, ok := names.resolve(shown); !ok || id != one || (shown == row.name) != row.named {
			t.Errorf("%s: %q is listed as %q, which leads to %q", row.rule, row.name, shown, id)
		}
	}
	var none volumeNames
	if id, ok := none.resolve(one); !ok || id != one || none.shown(one) != one {
		t.Error("without names an id does not lead to its volume")
	}
	if id, ok := none.resolve(""); ok {
		t.Errorf("nothing leads to %q", cluster.VolumeID(id))
	}
}
