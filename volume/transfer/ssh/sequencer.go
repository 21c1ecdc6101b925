package ssh

import (
	"fmt"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
)

// A sequencer lets packets be handled in the order of their offsets. The SFTP server gives them, in
// the order in which they came, to a few workers that run at the same time; so there are never
// more packets waiting than workers, nothing is copied, and a slow stream slows its client down.
//
//	wait(0) -> true ... done(n)        wait(n) -> true ...
//	        wait(2n) ..................................... -> true
type sequencer struct {
	mu      sync.Mutex
	moved   sync.Cond
	next    int64 // the offset whose turn it is
	waiting map[int64]bool
	busy    bool  // somebody works at next
	err     error // ends it for all
	gap     *time.Timer
}

func newSequencer() *sequencer {
	t := &sequencer{waiting: map[int64]bool{}}
	t.moved.L = &t.mu
	t.gap = time.AfterFunc(settleTimeout, t.giveUp)
	return t
}

// wait returns when all before offset is done; then only the caller may work, until done. An
// offset that has been passed already is an error: streams cannot be seeked in. So is one whose
// predecessor does not come.
func (t *sequencer) wait(offset int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting[offset] = true
	if !t.busy {
		t.gap.Reset(settleTimeout)
	}
	for t.next < offset && t.err == nil {
		t.moved.Wait()
	}
	delete(t.waiting, offset)
	switch {
	case t.err != nil:
		return t.err
	case t.next > offset || t.busy:
		return fmt.Errorf("%w: offset %d: a stream goes forward only", cluster.ErrUnsupported, offset)
	}
	t.busy = true
	return nil
}

// done hands on to the packet at next.
func (t *sequencer) done(next int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next, t.busy = next, false
	t.gap.Reset(settleTimeout)
	t.moved.Broadcast()
}

// end frees everybody who waits, now and later, with err.
func (t *sequencer) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	t.gap.Stop()
	t.moved.Broadcast()
}

// giveUp ends a stream whose packets wait for one that has not come for a long time: its client
// left something out.
func (t *sequencer) giveUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil && !t.busy && len(t.waiting) > 0 && !t.waiting[t.next] {
		t.err = fmt.Errorf("%w: nothing came for offset %d: a stream goes forward only", cluster.ErrUnsupported, t.next)
		t.moved.Broadcast()
	}
}
