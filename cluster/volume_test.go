package cluster

import (
	"slices"
	"strings"
	"testing"
)

func TestOldRounds(t *testing.T) {
	for _, row := range []struct{ rule, all, want string }{
		{"nothing", "", ""},
		{"the newest round stays", "m-1 m-2", "m-1"},
		{"the last rounds of the last two moves stay", "a-final b-final c-final d-1", "a-final"},
		{"rounds between them go", "a-final b-1 b-2 b-final c-1", "b-1 b-2"},
		{"what a user keeps is none", "kept:a-final a-1 kept:b a-2", "a-1"},
		{"the newest may be a last round", "a-final b-final", ""},
	} {
		var all []Snapshot
		for _, name := range strings.Fields(row.all) {
			name, kept := strings.CutPrefix(name, "kept:")
			all = append(all, Snapshot{Name: SnapshotName(name), Kept: kept})
		}
		var got []string
		for _, s := range OldRounds(all) {
			got = append(got, string(s.Name))
		}
		if !slices.Equal(got, strings.Fields(row.want)) {
			t.Errorf("%s: %q are old, want %q", row.rule, got, row.want)
		}
	}
}
