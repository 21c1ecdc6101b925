package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drover/drover/cluster"
)

// patience is how long a write may take, reconnections included, before it counts as failed.
const patience = 60 * time.Second

// A Runner is the clients of one database. Database, Address and Clients must be set.
type Runner struct {
	Database Database
	// Address is the host:port of a proxy.
	Address string
	Clients int
	// Think is the pause of a client between two writes: 2 ms.
	Think time.Duration

	acknowledged, failed, reconnects atomic.Int64

	cancel  context.CancelFunc
	clients sync.WaitGroup

	mu      sync.Mutex
	written map[string]Entry
	errs    []error
	// lastAck is when anybody was last acknowledged; gap and wait are the longest since Mark.
	lastAck   time.Time
	gap, wait time.Duration
	// waiting is since when each client has been at its present write.
	waiting map[int]time.Time
}

// Totals are what a run came to.
type Totals struct {
	Acknowledged, Failed, Reconnects int64
	// Errors are the first few failures.
	Errors []error
}

// Pause is what clients saw in an interval.
type Pause struct {
	// Gap is the longest time in which nobody was acknowledged.
	Gap time.Duration
	// Wait is the longest time that one write took.
	Wait time.Duration
}

// Start starts the clients. They write until Stop or until ctx ends.
func (r *Runner) Start(ctx context.Context) {
	ctx, r.cancel = context.WithCancel(ctx)
	r.mu.Lock()
	r.written, r.waiting, r.lastAck = map[string]Entry{}, map[int]time.Time{}, time.Now()
	r.mu.Unlock()
	for id := range r.Clients {
		r.clients.Go(func() { r.client(ctx, id) })
	}
}

// Stop ends the clients, each after the write that it is at.
func (r *Runner) Stop() Totals {
	r.cancel()
	r.clients.Wait()
	return r.Totals()
}

// Totals returns the counts so far.
func (r *Runner) Totals() Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Totals{r.acknowledged.Load(), r.failed.Load(), r.reconnects.Load(), slices.Clone(r.errs)}
}

// Mark begins a new interval and returns what the clients saw in the one that ends.
func (r *Runner) Mark() Pause {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := Pause{Gap: max(r.gap, time.Since(r.lastAck)), Wait: r.wait}
	for _, since := range r.waiting {
		seen.Wait = max(seen.Wait, time.Since(since)) // so far
	}
	r.gap, r.wait = 0, 0
	return seen
}

// client writes one entry after another over one connection for as long as that holds.
func (r *Runner) client(ctx context.Context, id int) {
	var conn Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for ctx.Err() == nil {
		from, to := rand.IntN(Accounts), rand.IntN(Accounts)
		e := Entry{ID: cluster.NewUUID(), From: from, To: to, Amount: 1 + rand.Int64N(100)}
		began := r.begin(id)
		var err error
		// A write that has begun is finished: cutting it off would be the client's failure.
		if conn, err = r.write(context.WithoutCancel(ctx), conn, e); err != nil {
			r.fail(id, fmt.Errorf("write %s: %w", e.ID, err))
		} else {
			r.acknowledge(id, e, time.Since(began))
		}
		select {
		case <-ctx.Done():
		case <-time.After(cmp.Or(r.Think, 2*time.Millisecond)):
		}
	}
}

// write stores an entry, connecting first where there is no connection. A connection that was
// open before may break once; a new one may not.
func (r *Runner) write(ctx context.Context, conn Conn, e Entry) (Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if conn != nil {
		err := conn.Write(ctx, e)
		if !errors.Is(err, ErrBroken) {
			return conn, err
		}
		conn.Close()
		r.reconnects.Add(1)
	}
	conn, err := r.Database.Connect(ctx, r.Address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := conn.Write(ctx, e); err != nil {
		conn.Close()
		return nil, fmt.Errorf("on a new connection: %w", err)
	}
	return conn, nil
}

// begin notes that a client waits from now on.
func (r *Runner) begin(id int) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.waiting[id] = now
	return now
}

func (r *Runner) acknowledge(id int, e Entry, took time.Duration) {
	r.acknowledged.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, id)
	r.written[e.ID] = e
	now := time.Now()
	r.gap = max(r.gap, now.Sub(r.lastAck))
	r.wait = max(r.wait, took)
	r.lastAck = now
}

func (r *Runner) fail(id int, err error) {
	r.failed.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, id)
	if len(r.errs) < 10 {
		r.errs = append(r.errs, err)
	}
}
