package courier

import (
	"context"
	"errors"

	"github.com/drover/drover/convergence/local"
)

// A use is one mount of a volume.
type use struct{ volume, mount string }

// Unmount implements plugin.Cluster. An agent that is not there hears of it when it is; one that hears
// of it never, because this process ends first, finds out by itself after a while.
func (c *Courier) Unmount(_ context.Context, name, mount string) error {
	c.mu.Lock()
	c.owed = append(c.owed, use{name, mount})
	c.mu.Unlock()
	return c.settle()
}

// settle tells the agent, in their order, of the uses that have ended. That it is not there is no
// error.
func (c *Courier) settle() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.owed) > 0 {
		err := c.Agent.Release(c.owed[0].volume, c.owed[0].mount)
		if errors.Is(err, local.ErrAway) {
			return nil
		}
		c.owed = c.owed[1:]
		if err != nil {
			return err
		}
	}
	return nil
}
