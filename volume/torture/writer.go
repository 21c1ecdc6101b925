package torture

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Writer changes a volume while it is shipped: by calls, and through pages that it has mapped.
type Writer struct {
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Write begins to change a tree, which nobody else may use until Stop returns. Between changes it
// waits about as long as pause.
func (t *Tree) Write(pause time.Duration) *Writer {
	ctx, stop := context.WithCancel(context.Background())
	w := &Writer{stop: stop}
	file, pages := t.mapped()
	seed := t.r.Uint64()
	w.running.Go(func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			t.Change()
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	if pages != nil {
		w.running.Go(func() {
			defer file.Close()
			dirty(ctx, pages, rand.New(rand.NewPCG(seed, 0)), pause)
		})
	}
	return w
}

// Stop returns when nothing writes any more, and nothing is mapped.
func (w *Writer) Stop() {
	w.stop()
	w.running.Wait()
}

// mapped maps a file of the tree into memory; nil if there is none that can be.
func (t *Tree) mapped() (*os.File, []byte) {
	const size = 256 << 10
	f, err := t.root.OpenFile("mapped", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, nil
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, nil
	}
	pages, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, nil
	}
	t.done["mapped file"]++
	return f, pages
}

// dirty stores into mapped pages until its context ends, and once more then. The file may be cut
// short meanwhile: that ends it, too.
func dirty(ctx context.Context, pages []byte, r *rand.Rand, pause time.Duration) {
	defer func() { _ = recover() }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer unix.Munmap(pages)
	tick := time.NewTicker(max(pause/4, time.Millisecond/2))
	defer tick.Stop()
	for {
		pages[r.IntN(len(pages))]++
		select {
		case <-tick.C:
		case <-ctx.Done():
			pages[r.IntN(len(pages))]++
			return
		}
	}
}
