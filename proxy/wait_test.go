package proxy

import (
	"testing"
	"testing/synctest"
	"time"
)

// still is a view of a gate that does not move.
func still(endpoint string) View {
	return View{Phase: Open, Endpoint: endpoint, Moved: make(chan struct{})}
}

func TestWaitPausesLongerEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wait{counters: new(counters), patience: time.Minute}
		for i, want := range []time.Duration{10, 20, 40, 80, 160, 250, 250} {
			started := time.Now()
			if !w.again(still(here)) {
				t.Fatal("gave up at once")
			}
			if got := time.Since(started); got != want*time.Millisecond {
				t.Errorf("pause %d took %s, want %dms", i, got, want)
			}
		}
	})
}

func TestWaitPatience(t *testing.T) {
	const patience = 5 * time.Second
	for _, tt := range []struct {
		name     string
		hold     time.Duration // before the first attempt
		endpoint string
		want     time.Duration
	}{
		{"is counted from the first attempt that failed", 0, here, patience},
		{"starts when a hold is over", 3 * time.Second, here, 3*time.Second + patience},
		{"covers the hold if there is no endpoint", 3 * time.Second, "", patience},
		{"is over after a hold that took all of it, without an endpoint", 6 * time.Second, "", 6 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				w := wait{counters: new(counters), patience: patience}
				if tt.hold > 0 {
					moved := make(chan struct{})
					time.AfterFunc(tt.hold, func() { close(moved) })
					w.held(View{Phase: Held, Moved: moved}, func() bool { return false })
				}
				for w.again(still(tt.endpoint)) {
				}
				if got := time.Since(started); got != tt.want {
					t.Errorf("gave up after %s, want %s", got, tt.want)
				}
			})
		})
	}
}

func TestWaitCountsTheAttemptItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wait{counters: new(counters), patience: time.Second}
		w.ask()
		time.Sleep(dialTimeout) // an endpoint that is silent
		if w.again(still(here)) {
			t.Error("goes on though the attempt took all of its patience")
		}
		w.end()
		if got := time.Duration(w.counters.longest.Load()); got != dialTimeout {
			t.Errorf("it has waited for %s, want %s", got, dialTimeout)
		}
	})
}

func TestWaitEndsWhenTheGateMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, endpoint := range []string{here, ""} {
			w := wait{counters: new(counters), patience: time.Minute, pause: lastPause}
			v := still(endpoint)
			moved := make(chan struct{})
			v.Moved = moved
			time.AfterFunc(time.Millisecond, func() { close(moved) })
			started := time.Now()
			if !w.again(v) {
				t.Fatal("gave up though the gate moved")
			}
			if got := time.Since(started); got != time.Millisecond {
				t.Errorf("endpoint %q: woke after %s, want 1ms", endpoint, got)
			}
			if w.pause != 0 {
				t.Error("the next pause is not a short one again")
			}
		}
	})
}

func TestWaitKeepsAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counters
		var none wait
		none.counters = &c
		none.end()
		if c.held.Load() != 0 || c.longest.Load() != 0 {
			t.Error("a connection that never waited was counted")
		}
		for _, d := range []time.Duration{time.Second, 3 * time.Second, 2 * time.Second} {
			w := wait{counters: &c, patience: time.Minute}
			w.begin(time.Now())
			time.Sleep(d)
			w.begin(time.Now()) // a second wait of the same connection
			if got := c.held.Load(); got != 1 {
				t.Errorf("%d connections are held, want 1", got)
			}
			w.end()
		}
		if got := c.held.Load(); got != 0 {
			t.Errorf("%d connections are held, want 0", got)
		}
		if got := time.Duration(c.longest.Load()); got != 3*time.Second {
			t.Errorf("the longest hold is %s, want 3s", got)
		}
	})
}
