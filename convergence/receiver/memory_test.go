package receiver

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// TestMemoryIsGivenBackAfterATransfer: what a transfer took, the host has again a while later.
func TestMemoryIsGivenBackAfterATransfer(t *testing.T) {
	a := &Receiver{}
	big := make([]byte, 256<<20)
	for i := 0; i < len(big); i += 4096 {
		big[i] = 1
	}
	full := resident(t)
	a.Ease()
	a.Ease() // for all that come within a while it is done once
	big = nil
	for end := time.Now().Add(4 * easeAfter); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if now := resident(t); now < full-200<<20 {
			return
		}
	}
	t.Errorf("%d MiB were resident, and %d are", full>>20, resident(t)>>20)
}

// resident is how much memory of the host this process has.
func resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
