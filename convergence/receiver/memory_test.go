package receiver

import (
	"runtime/metrics"
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
	before := released(t)
	a.Ease()
	a.Ease() // for all that come within a while it is done once
	big = nil
	for end := time.Now().Add(4 * easeAfter); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if released(t) > before+200<<20 {
			return
		}
	}
	t.Errorf("%d MiB had been given back, and %d are", before>>20, released(t)>>20)
}

// released is how much memory this process has given back to the host. What the race detector keeps beside
// each byte does not count, as it would in what is resident.
func released(t *testing.T) uint64 {
	t.Helper()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		t.Fatal("the runtime does not say what it gave back")
	}
	return sample[0].Value.Uint64()
}
