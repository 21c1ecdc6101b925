package handoff

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/test/harness/powercut"
)

func TestJournalOutlivesTheAgent(t *testing.T) {
	dir := t.TempDir()
	open := func() *FileJournal {
		t.Helper()
		j, err := OpenJournal(dir)
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
	for _, when := range []string{"at once", "after a restart"} {
		moves := j.Undecided()
		if len(moves) != 1 || moves["one"].ID != "m-one" || moves["one"].Attempt != 3 || j.Base("one") != "base-one" {
			t.Errorf("%s it asks for %v", when, moves)
		}
		j = open()
	}
}

// TestAJournalThatCannotBeReadStopsTheAgent: going on without it could mean two writers.
func TestAJournalThatCannotBeReadStopsTheAgent(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenJournal(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journal", "v.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(dir); err == nil {
		t.Error("it was read")
	}
}

// TestJournalSurvivesALossOfPower: a move whose commit was asked for is remembered, and one that is
// settled does not come back when the volume has moved on.
func TestJournalSurvivesALossOfPower(t *testing.T) {
	asked := cluster.Move{ID: "m-asked", Volume: "asked"}
	powercut.Each(t, func(t *testing.T, kind string) {
		for name, test := range map[string]struct {
			last func(*FileJournal) error
			want []cluster.VolumeID
		}{
			"asking":  {func(j *FileJournal) error { return j.Asking(asked, "base") }, []cluster.VolumeID{"asked", "settled"}},
			"settled": {func(j *FileJournal) error { return j.Settled("settled") }, nil},
		} {
			t.Run(name, func(t *testing.T) {
				powercut.Run(t, kind, func(dir string) {
					j, err := OpenJournal(filepath.Join(dir, "state", "of", "node"))
					if err == nil {
						err = errors.Join(j.Asking(cluster.Move{ID: "m-settled", Volume: "settled"}, "base"), test.last(j))
					}
					if err != nil {
						t.Fatal(err)
					}
				}, func(dir string) {
					j, err := OpenJournal(filepath.Join(dir, "state", "of", "node"))
					if err != nil {
						t.Fatal(err)
					}
					if got := slices.Sorted(maps.Keys(j.Undecided())); !slices.Equal(got, test.want) {
						t.Errorf("undecided after the cut: %v, want %v", got, test.want)
					}
				})
			})
		}
	})
}

// TestJournalOfAFullDisk: every volume can move away from it, also a second time before the first is settled.
func TestJournalOfAFullDisk(t *testing.T) {
	disk := powercut.New(t, "ext4", 128<<20)
	j, err := OpenJournal(disk.Path())
	if err == nil {
		err = j.KeepSpace(2)
	}
	if err != nil {
		t.Fatal(err)
	}
	powercut.Fill(t, disk.Path())
	for range 3 {
		for _, id := range []cluster.VolumeID{"one", "one", "two", "two", "one"} {
			if err := j.Asking(cluster.Move{ID: "m", Volume: id}, "base"); err != nil {
				t.Errorf("%s: %v", id, err)
			}
			powercut.Fill(t, disk.Path())
		}
		if err := errors.Join(j.Settled("one"), j.Settled("two")); err != nil {
			t.Error(err)
		}
		powercut.Fill(t, disk.Path())
	}
}
