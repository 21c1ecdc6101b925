package ssh

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/drover/drover/volume/transfer"
)

// A meter counts, limits and reports what a transfer ships, over all its connections.
type meter struct {
	o        transfer.Options
	limiter  *rate.Limiter // nil for no limit
	shipped  atomic.Int64
	reported time.Time
}

// progressInterval is the shortest time between two reports.
const progressInterval = 200 * time.Millisecond

func newMeter(o transfer.Options) *meter {
	m := &meter{o: o, reported: time.Now()}
	if o.BytesPerSecond > 0 {
		m.limiter = rate.NewLimiter(rate.Limit(o.BytesPerSecond), int(min(o.BytesPerSecond, maxPacket)))
	}
	return m
}

// writer counts what is written to w, which one goroutine does.
func (m *meter) writer(ctx context.Context, w io.Writer) io.Writer { return metered{m, ctx, w} }

// finish makes the last report and returns the count.
func (m *meter) finish() int64 {
	n := m.shipped.Load()
	if m.o.Progress != nil {
		m.o.Progress(n)
	}
	return n
}

type metered struct {
	*meter
	ctx context.Context
	w   io.Writer
}

func (m metered) Write(p []byte) (int, error) {
	if err := m.wait(len(p)); err != nil {
		return 0, err
	}
	n, err := m.w.Write(p)
	total := m.shipped.Add(int64(n))
	if m.o.Progress != nil && time.Since(m.reported) >= progressInterval {
		m.reported = time.Now()
		m.o.Progress(total)
	}
	return n, err
}

// wait waits until n bytes may go.
func (m metered) wait(n int) error {
	for m.limiter != nil && n > 0 {
		part := min(n, m.limiter.Burst())
		if err := m.limiter.WaitN(m.ctx, part); err != nil {
			if m.ctx.Err() == nil {
				return fmt.Errorf("the rate limit leaves too little time: %w", context.DeadlineExceeded)
			}
			return context.Cause(m.ctx)
		}
		n -= part
	}
	return nil
}
