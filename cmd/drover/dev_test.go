package main

import (
	"os"
	"strings"
	"testing"
)

// TestAClusterThatDoesNotStartLeavesNothing: the directory that was to be temporary goes, whatever the
// reason.
func TestAClusterThatDoesNotStartLeavesNothing(t *testing.T) {
	for _, args := range [][]string{{"dev", "--nodes", "0"}, {"dev", "--listen", "192.0.2"}, {"demo", "--nodes", "27"}} {
		dir := t.TempDir()
		t.Setenv("TMPDIR", dir)
		err := run(t.Context(), args, stdio{strings.NewReader(""), &output{}, &output{}})
		left, _ := os.ReadDir(dir)
		if err == nil || len(left) != 0 {
			t.Errorf("drover %q: %v; it leaves %v", args, err, left)
		}
	}
}
