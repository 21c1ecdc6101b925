package watchdog

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestItRunsOnlyWithoutAWord(t *testing.T) {
	dir := t.TempDir()
	dismissed, left := filepath.Join(dir, "dismissed"), filepath.Join(dir, "left")
	w, err := Start(`: > "$1"`, dismissed)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Dismiss(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dismissed); err == nil {
		t.Error("it was told that nothing is left to do, and ran")
	}
	if w, err = Start(`: > "$1"`, left); err != nil {
		t.Fatal(err)
	}
	w.in.Close() // as when this process ends
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(left); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it did not run")
		}
	}
}
