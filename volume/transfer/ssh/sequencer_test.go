package ssh

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/drover/drover/cluster"
)

// TestTurnPutsPacketsInOrder lets workers take packets of random sizes in an order that is mixed
// up as far as the number of workers allows.
func TestTurnPutsPacketsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const workers = 8
		type packet struct{ offset, size int64 }
		var packets []packet
		var end int64
		for _, size := range rapid.SliceOfN(rapid.Int64Range(1, 300), 1, 60).Draw(t, "sizes") {
			packets = append(packets, packet{end, size})
			end += size
		}
		seed := rapid.Uint64().Draw(t, "seed")
		mixed := rand.New(rand.NewPCG(seed, seed))
		for i := 0; i < len(packets); i += workers {
			part := packets[i:min(i+workers, len(packets))]
			mixed.Shuffle(len(part), func(a, b int) { part[a], part[b] = part[b], part[a] })
		}
		queue := make(chan packet, len(packets))
		for _, p := range packets {
			queue <- p
		}
		close(queue)
		turn := newSequencer()
		defer turn.end(io.ErrClosedPipe)
		var seen []int64 // guarded by the turn: the race detector tells
		var running sync.WaitGroup
		for range workers {
			running.Go(func() {
				for p := range queue {
					if err := turn.wait(p.offset); err != nil {
						t.Errorf("offset %d: %v", p.offset, err)
						return
					}
					seen = append(seen, p.offset)
					turn.done(p.offset + p.size)
				}
			})
		}
		running.Wait()
		if len(seen) != len(packets) || !slices.IsSorted(seen) {
			t.Fatalf("%d packets were handled in the order %v", len(packets), seen)
		}
	})
}

func TestTurnGoesForwardOnly(t *testing.T) {
	turn := newSequencer()
	defer turn.end(io.ErrClosedPipe)
	if err := turn.wait(0); err != nil {
		t.Fatal(err)
	}
	if err := turn.wait(0); !errors.Is(err, cluster.ErrUnsupported) {
		t.Errorf("the same offset twice: got %v, want ErrUnsupported", err)
	}
	turn.done(10)
	if err := turn.wait(5); !errors.Is(err, cluster.ErrUnsupported) {
		t.Errorf("an offset that has been passed: got %v, want ErrUnsupported", err)
	}
}

func TestTurnEndsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := newSequencer()
		results := make(chan error)
		for _, offset := range []int64{10, 20} {
			go func() { results <- turn.wait(offset) }()
		}
		synctest.Wait()
		gone := errors.New("the client is gone")
		turn.end(gone)
		turn.end(errors.New("again"))
		for range 2 {
			if err := <-results; err != gone {
				t.Errorf("got %v, want what ended it first", err)
			}
		}
		if err := turn.wait(0); err != gone {
			t.Errorf("later: got %v, want what ended it first", err)
		}
	})
}

// TestTurnWaitsForWhatComes has a client that leaves a packet out, and one that is only slow.
func TestTurnWaitsForWhatComes(t *testing.T) {
	for _, row := range []struct {
		rule string
		slow time.Duration // how long the packet at 0 is being worked at
		left bool          // the packet at 10 never comes
	}{
		{"a gap that nobody fills is an error", 0, true},
		{"a worker may take as long as it wants", time.Hour, false},
		{"a gap behind a slow worker is an error, after it", time.Hour, true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turn := newSequencer()
				last := make(chan error, 1)
				if err := turn.wait(0); err != nil {
					t.Fatal(err)
				}
				go func() { last <- turn.wait(20) }()
				time.Sleep(row.slow)
				turn.done(10)
				if !row.left {
					if err := turn.wait(10); err != nil {
						t.Fatal(err)
					}
					turn.done(20)
				}
				if err := <-last; row.left != errors.Is(err, cluster.ErrUnsupported) || row.left != (err != nil) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
