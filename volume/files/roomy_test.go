package files

import (
	"errors"
	"os"
	"testing"

	"github.com/drover/drover/cluster"
)

// TestMemoryHasItsBound also for what was on the disk before that was full: nothing of it is copied.
func TestMemoryHasItsBound(t *testing.T) {
	dir := t.TempDir()
	r, err := createRoomy(dir, "large", func() (*os.File, error) { return nil, errors.New("asked for memory") })
	if err != nil {
		t.Fatal(err)
	}
	defer r.remove()
	r.size = maxMemoryFile + 1 // as it says itself: nobody has to write that much
	if err := r.move(); !cluster.Full(err) {
		t.Errorf("what is too large for memory: %v", err)
	}
	r.size = maxMemoryFile
	if err := r.move(); err == nil || cluster.Full(err) {
		t.Errorf("what just fits: %v", err)
	}
}
