package dockervolume

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/agentsocket"
	"github.com/drover/drover/internal/sleep"
)

// A use is one mount of a volume. Call identifies the end of it: an agent may have heard what it did not answer.
type use struct{ mount, call string }

// Unmount implements plugin.Cluster. An agent that is not there hears of it when it is; one that hears
// of it never, because this process ends first, finds out by itself after a while.
func (c *Host) Unmount(_ context.Context, _, mount string) error {
	c.mu.Lock()
	c.owed = append(c.owed, use{mount, cluster.NewUUID()})
	c.mu.Unlock()
	return c.settle()
}

// lastWords is how long a Host that ends tries to tell the agent what it has missed: when the agent
// starts again it brings a plugin of its own, in whose place this one was.
const lastWords = 4 * time.Second

// keepSettling settles until ctx ends, and then what is left.
func (c *Host) keepSettling(ctx context.Context) {
	try := func() {
		if err := c.settle(); err != nil {
			c.Log.Error("a use that has ended is not noted", "error", err)
		}
	}
	for sleep.For(ctx, time.Second) == nil {
		try()
	}
	for end := time.Now().Add(lastWords); c.owesAny() && time.Now().Before(end); time.Sleep(2 * pause) {
		try()
	}
}

func (c *Host) owesAny() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.owed) > 0
}

// owes reports whether the agent has yet to hear that a use has ended.
func (c *Host) owes(mount string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.owed, func(u use) bool { return u.mount == mount })
}

// settle tells the agent, in their order, of the uses that have ended. That it is not there is no
// error.
func (c *Host) settle() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.owed) > 0 {
		err := c.Agent.Release(c.owed[0].mount, c.owed[0].call)
		if errors.Is(err, agentsocket.ErrAway) {
			return nil
		}
		c.owed = c.owed[1:]
		if err != nil {
			return err
		}
	}
	return nil
}
