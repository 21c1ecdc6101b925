package main

import (
	"path/filepath"
	"testing"
)

// TestTheListIsWhole: each line stands in the source, once. Whoever rewrites one says here what could go
// wrong with it now.
func TestTheListIsWhole(t *testing.T) {
	root := filepath.Join("..", "..")
	names, areas := map[string]bool{}, map[area]int{}
	for _, m := range list {
		if _, err := m.plant(root); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if names[m.name] || m.line == m.planted || m.breaks == "" || m.promise == "" {
			t.Errorf("%s: its name is another one's, or something is missing: %+v", m.name, m)
		}
		names[m.name] = true
		areas[m.area]++
	}
	if len(list) != 30 {
		t.Errorf("there are %d, want 30", len(list))
	}
	for _, a := range []area{rules, plans, handoff, journal, mounts} {
		if areas[a] < 4 {
			t.Errorf("%s has %d, want at least 4", a, areas[a])
		}
	}
}
