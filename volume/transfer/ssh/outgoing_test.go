package ssh

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestTheEndOfAStreamFreesWhoAskedForMore: clients ask for much at once, in whatever order that is
// handled.
func TestTheEndOfAStreamFreesWhoAskedForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &handlers{ctx: t.Context()}
		more := make(chan struct{})
		o := h.outgoing(func(_ context.Context, w io.Writer) error {
			_, err := w.Write(make([]byte, 150))
			<-more
			return err
		})
		began := time.Now()
		var readers sync.WaitGroup
		var got [6]int
		read := func(i int) {
			n, err := o.ReadAt(make([]byte, 100), int64(i)*100)
			if err != nil && err != io.EOF {
				t.Errorf("read at %d: %v", i*100, err)
			}
			got[i] = n
		}
		for i := range got[:5] {
			if i != 3 {
				readers.Go(func() { read(i) })
			}
		}
		synctest.Wait()
		close(more)
		synctest.Wait()
		readers.Go(func() { read(3) }) // after the end is known, while the next one waits for it
		readers.Go(func() { read(5) })
		readers.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
		if got != [6]int{100, 50} {
			t.Errorf("read %v", got)
		}
		if _, err := o.ReadAt(make([]byte, 100), 0); err == nil || !strings.HasSuffix(err.Error(), "[unsupported]") {
			t.Errorf("from the start again: %v", err)
		}
		o.Close()
		h.streams.Wait()
	})
}

// TestAFileThatIsOnlyOpenedCostsNothing: nothing is made before somebody reads.
func TestAFileThatIsOnlyOpenedCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &handlers{ctx: t.Context()}
		o := h.outgoing(func(context.Context, io.Writer) error {
			t.Error("the backend was asked")
			return nil
		})
		synctest.Wait()
		o.Close()
		h.streams.Wait()
	})
}
