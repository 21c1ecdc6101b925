package api

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
)

// What one client can have at once, by its certificate: whatever it asks for, others are served beside it.
const (
	// mostCalls is how many calls may be open; most of them wait for something.
	mostCalls = 128
	// turnPatience is how long one waits for its turn to be worked on.
	turnPatience = 10 * time.Second
)

// mostWorking is how many calls of one client are worked on, and do not wait: another one finds a processor.
var mostWorking = max(2, runtime.GOMAXPROCS(0)-1)

// clients are those that have calls open.
type clients struct {
	mu  sync.Mutex
	all map[string]*caller
}

// A caller is one of them.
type caller struct {
	open    int           // under clients.mu
	working chan struct{} // has room for mostWorking
}

// A admission is what a call has of the service.
type admission struct {
	clients *clients
	who     string
	caller  *caller
	working bool
}

// enter opens a call, and has it worked on. The caller must leave.
func (cs *clients) enter(ctx context.Context, who string) (*admission, error) {
	cs.mu.Lock()
	if cs.all == nil {
		cs.all = map[string]*caller{}
	}
	c := cs.all[who]
	if c == nil {
		c = &caller{working: make(chan struct{}, mostWorking)}
		cs.all[who] = c
	}
	if c.open == mostCalls {
		cs.mu.Unlock()
		return nil, fmt.Errorf("%w: %s has %d calls open", cluster.ErrUnavailable, who, mostCalls)
	}
	c.open++
	cs.mu.Unlock()
	t := &admission{clients: cs, who: who, caller: c}
	if err := t.work(ctx); err != nil {
		t.leave()
		return nil, err
	}
	return t, nil
}

// work waits until the call can be worked on.
func (t *admission) work(ctx context.Context) error {
	if t.working {
		return nil
	}
	select {
	case t.caller.working <- struct{}{}:
		t.working = true
		return nil
	case <-time.After(turnPatience):
		return fmt.Errorf("%w: %d calls of %s come first", cluster.ErrUnavailable, mostWorking, t.who)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rest says that the call waits now: for something to happen, or for its answer to be read.
func (t *admission) rest() {
	if t.working {
		t.working = false
		<-t.caller.working
	}
}

// leave closes the call.
func (t *admission) leave() {
	t.rest()
	t.clients.mu.Lock()
	defer t.clients.mu.Unlock()
	if t.caller.open--; t.caller.open == 0 {
		delete(t.clients.all, t.who)
	}
}

const turnKey = "turn"

// turnOf returns the turn of the call that a handler carries out.
func turnOf(c *gin.Context) *admission { return c.MustGet(turnKey).(*admission) }
