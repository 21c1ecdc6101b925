package handoff

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
)

// FuzzJournal: what a crashed agent left is an entry of the volume that its name says, or an error.
// Nothing else is asked to commit, and no other file is removed for it.
func FuzzJournal(f *testing.F) {
	good, _ := json.Marshal(journalEntry{Move: cluster.Move{ID: "m", Volume: "v", Attempt: 3}, Base: "g"})
	f.Add("v.json", good)
	f.Add("v.json", []byte(`{"move":{"id":"m","volume":"../../slice"}}`))
	f.Add("v.json", []byte(`{"move":`))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		e, err := parseEntry(filepath.Base(name), text)
		if err != nil {
			return
		}
		j := FileJournal{dir: "/journal"}
		if got := j.file(e.Move.Volume); got != filepath.Join("/journal", filepath.Base(name)) {
			t.Errorf("the entry of %q is kept as %s", name, got)
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseEntry(filepath.Base(name), again); err != nil || back.Move.ID != e.Move.ID || back.Base != e.Base {
			t.Errorf("written again it is %+v, %v", back, err)
		}
	})
}

// TestAJournalOfAnotherVolumeStopsTheAgent: it would be removed under another name than it has.
func TestAJournalOfAnotherVolumeStopsTheAgent(t *testing.T) {
	for _, text := range []string{`{"move":{"id":"m","volume":"w"}}`, `{"move":{"id":"m","volume":"../../v"}}`, `{}`, `null`} {
		if e, err := parseEntry("v.json", []byte(text)); err == nil {
			t.Errorf("%s was read as %+v", text, e)
		}
	}
}
