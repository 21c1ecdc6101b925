package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

// change is what a call of Changed returned.
type change struct {
	revision cluster.Revision
	err      error
}

func watch(ctx context.Context, s store.Store, since cluster.Revision) <-chan change {
	result := make(chan change, 1)
	go func() {
		rev, err := s.Changed(ctx, since)
		result <- change{rev, err}
	}()
	return result
}

func receive(t *testing.T, result <-chan change) change {
	t.Helper()
	select {
	case c := <-result:
		return c
	case <-time.After(patience):
		t.Fatal("Changed did not return")
		return change{}
	}
}

func testChanged(t *testing.T, place Place) {
	s := open(t, place)
	first := put(t, s, "a", "1")
	if c := receive(t, watch(t.Context(), s, 0)); c.err != nil || c.revision != first {
		t.Errorf("since 0: %v, want revision %d", c, first)
	}

	waiting := []<-chan change{watch(t.Context(), s, first), watch(t.Context(), s, first)}
	wantStale(t, s, store.Batch{If: []store.Condition{{Key: "a", Revision: first + 1}}, Put: map[string][]byte{"a": nil}})
	write(t, s, store.Batch{}) // neither is a change
	for _, w := range waiting {
		select {
		case c := <-w:
			t.Errorf("since %d: returned %v before anything changed", first, c)
		default:
		}
	}
	second := put(t, s, "a", "2")
	for _, w := range waiting {
		if c := receive(t, w); c.err != nil || c.revision != second {
			t.Errorf("since %d: %v, want revision %d", first, c, second)
		}
	}
}

func testChangedContext(t *testing.T, place Place) {
	s := open(t, place)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := watch(ctx, s, 0)
	cancel()
	if c := receive(t, waiting); !errors.Is(c.err, context.Canceled) {
		t.Errorf("got %v, want the error of the context", c)
	}
}

func testClosed(t *testing.T, place Place) {
	s := open(t, place)
	rev := put(t, s, "a", "1")
	waiting := watch(t.Context(), s, rev)
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if c := receive(t, waiting); !errors.Is(c.err, cluster.ErrUnavailable) {
		t.Errorf("waiting over a close: %v, want ErrUnavailable", c)
	}
	if _, _, err := s.Load(t.Context()); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("load: %v, want ErrUnavailable", err)
	}
	if _, err := s.Write(t.Context(), store.Batch{}); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("write: %v, want ErrUnavailable", err)
	}
	if _, err := s.Changed(t.Context(), 0); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("changed: %v, want ErrUnavailable", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func testRace(t *testing.T, place Place) {
	s := open(t, place)
	rev := put(t, s, "owner", "a")
	var wg sync.WaitGroup
	var won atomic.Int32
	for i := range 8 {
		wg.Go(func() {
			_, err := s.Write(t.Context(), store.Batch{
				If:  []store.Condition{{Key: "owner", Revision: rev}},
				Put: map[string][]byte{"owner": []byte(strconv.Itoa(i))},
			})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, cluster.ErrStale):
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d writers succeeded, want 1", won.Load())
	}
}

// testConcurrency lets writers count up one shared record by conditional writes, each with a
// record of its own in the same batch: at the end no count is lost, no batch is half applied.
func testConcurrency(t *testing.T, place Place) {
	const writers, rounds = 4, 10
	s := open(t, place)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range rounds {
				if err := increment(t.Context(), s, fmt.Sprintf("by/%d/%d", i, n)); err != nil {
					t.Errorf("writer %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	records, rev, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := string(records["count"].Value); got != strconv.Itoa(writers*rounds) {
		t.Errorf("counted to %s, want %d", got, writers*rounds)
	}
	if len(records) != writers*rounds+1 {
		t.Errorf("%d records, want %d", len(records), writers*rounds+1)
	}
	if records["count"].Revision != rev {
		t.Errorf("the newest record has revision %d, the store %d", records["count"].Revision, rev)
	}
}

func increment(ctx context.Context, s store.Store, witness string) error {
	for {
		records, _, err := s.Load(ctx)
		if err != nil {
			return err
		}
		count, _ := strconv.Atoi(string(records["count"].Value)) // none yet is zero
		_, err = s.Write(ctx, store.Batch{
			If:  []store.Condition{{Key: "count", Revision: records["count"].Revision}, {Key: witness}},
			Put: map[string][]byte{"count": []byte(strconv.Itoa(count + 1)), witness: nil},
		})
		if !errors.Is(err, cluster.ErrStale) {
			return err
		}
	}
}
