package workload_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/workload"
)

// A fake database keeps entries in memory and misbehaves as told.
type fake struct {
	mu      sync.Mutex
	stored  map[string]workload.Entry
	connect func() error
	write   func(workload.Entry) error
}

func (*fake) Name() string { return "fake" }

func (*fake) Application(cluster.AppName, int) cluster.Application { return cluster.Application{} }

func (*fake) Prepare(context.Context, string, int, func(done, total int64)) error { return nil }

func (f *fake) Connect(context.Context, string) (workload.Conn, error) {
	if f.connect != nil {
		if err := f.connect(); err != nil {
			return nil, err
		}
	}
	return conn{f}, nil
}

func (f *fake) Entries(context.Context, string) (map[string]workload.Entry, error) {
	return f.stored, nil
}

type conn struct{ f *fake }

func (c conn) Write(_ context.Context, e workload.Entry) error {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if c.f.write != nil {
		if err := c.f.write(e); err != nil {
			return err
		}
	}
	c.f.stored[e.ID] = e
	return nil
}

func (conn) Close() error { return nil }

// run lets clients write until some dozens are acknowledged or failed.
func run(t *testing.T, f *fake) (*workload.Runner, workload.Totals) {
	t.Helper()
	f.stored = map[string]workload.Entry{}
	r := &workload.Runner{Database: f, Clients: 3, Think: time.Millisecond}
	r.Start(t.Context())
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if totals := r.Totals(); totals.Acknowledged+totals.Failed > 50 {
			break
		}
	}
	return r, r.Stop()
}

func verify(t *testing.T, r *workload.Runner) workload.Check {
	t.Helper()
	check, err := r.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return check
}

func TestAGoodDatabaseLosesNothing(t *testing.T) {
	r, totals := run(t, &fake{})
	check := verify(t, r)
	if len(check.Lost) != 0 || totals.Failed != 0 || totals.Reconnects != 0 || int64(check.Stored) != totals.Acknowledged {
		t.Errorf("%+v, %+v", check, totals)
	}
}

func TestWhatIsLostIsFound(t *testing.T) {
	f := &fake{}
	r, _ := run(t, f)
	n := 0
	for id, e := range f.stored {
		switch n++; n {
		case 1:
			delete(f.stored, id)
		case 2:
			e.Amount++
			f.stored[id] = e
		}
	}
	if check := verify(t, r); len(check.Lost) != 2 {
		t.Errorf("one entry is gone and one is changed, found: %v", check.Lost)
	}
}

func TestABrokenConnectionIsMadeAgain(t *testing.T) {
	broken := map[string]bool{}
	f := &fake{}
	f.write = func(e workload.Entry) error {
		if len(f.stored)%10 == 5 && !broken[e.ID] && len(broken) < 3 {
			broken[e.ID] = true
			return workload.ErrBroken
		}
		return nil
	}
	r, totals := run(t, f)
	if totals.Failed != 0 || totals.Reconnects == 0 {
		t.Errorf("%+v", totals)
	}
	if check := verify(t, r); len(check.Lost) != 0 {
		t.Errorf("lost: %v", check.Lost)
	}
}

func TestWhatClientsMustNotSeeCounts(t *testing.T) {
	refused := errors.New("connection refused")
	for rule, f := range map[string]*fake{
		"a new connection is refused":              {connect: func() error { return refused }},
		"a new connection breaks before it serves": {write: func(workload.Entry) error { return workload.ErrBroken }},
		"an error is answered":                     {write: func(workload.Entry) error { return errors.New("disk full") }},
	} {
		if _, totals := run(t, f); totals.Failed == 0 || totals.Acknowledged != 0 || len(totals.Errors) == 0 {
			t.Errorf("%s: %+v", rule, totals)
		}
	}
}

func TestAClientThatStillWaitsCounts(t *testing.T) {
	release := make(chan struct{})
	f := &fake{stored: map[string]workload.Entry{}, write: func(workload.Entry) error { <-release; return nil }}
	r := &workload.Runner{Database: f, Clients: 1}
	r.Start(t.Context())
	r.Mark()
	time.Sleep(50 * time.Millisecond) // the length of the pause
	if pause := r.Mark(); pause.Wait < 40*time.Millisecond || pause.Gap < 40*time.Millisecond {
		t.Errorf("a client has waited for 50 ms, seen were %+v", pause)
	}
	close(release)
	r.Stop()
}
