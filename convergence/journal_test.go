package convergence

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
)

func TestJournalOutlivesTheAgent(t *testing.T) {
	dir := t.TempDir()
	open := func() *journal {
		t.Helper()
		j, err := openJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	j := open()
	for _, id := range []cluster.VolumeID{"one", "two"} {
		if err := j.Asking(cluster.Move{ID: "m-" + cluster.MoveID(id), Volume: id, Attempt: 3}, "base-"+string(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Settled("two"); err != nil {
		t.Fatal(err)
	}
	if err := j.Settled("two"); err != nil {
		t.Errorf("settled again: %v", err)
	}
	j = open()
	moves := j.undecided()
	if len(moves) != 1 || moves["one"].ID != "m-one" || moves["one"].Attempt != 3 || j.base("one") != "base-one" {
		t.Errorf("after a restart it asks for %v", moves)
	}
}

// TestAJournalThatCannotBeReadStopsTheAgent: going on without it could mean two writers.
func TestAJournalThatCannotBeReadStopsTheAgent(t *testing.T) {
	dir := t.TempDir()
	if _, err := openJournal(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journal", "v.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(dir); err == nil {
		t.Error("it was read")
	}
}

func TestTheLastSliceIsKept(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := loadSlice(dir); ok || err != nil {
		t.Errorf("a slice from nowhere: %v", err)
	}
	want := cluster.Slice{Revision: 7, Node: "a", Routes: []cluster.Route{{External: 80, Mode: cluster.Forward}}}
	if err := saveSlice(dir, want); err != nil {
		t.Fatal(err)
	}
	got, ok, err := loadSlice(dir)
	if err != nil || !ok || got.Revision != 7 || got.Node != "a" || len(got.Routes) != 1 {
		t.Errorf("kept %+v, %v, %v", got, ok, err)
	}
}
