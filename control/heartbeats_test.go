package control

import (
	"context"
	"testing"
	"time"

	"github.com/drover/drover/control/wire"
)

// TestAHeartbeatInAPollIsAsking: a poll lasts longer than a node counts that has not asked, and its proxy is waited for
// all the same. One that comes alone says nothing of the poll.
func TestAHeartbeatInAPollIsAsking(t *testing.T) {
	for _, row := range []struct {
		polling bool
		holding int
	}{{true, 1}, {false, 0}} {
		inLab(t, func(t *testing.T, l *lab) {
			b := l.host("b")
			b.state.Sequence, b.state.Every = 1, 5*time.Second
			b.report()
			since := b.assignment().Revision
			time.Sleep(time.Minute) // nobody has asked since
			poll, end := context.WithCancel(l.ctx)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = l.Assignment(poll, "b", since)
			}()
			for range 6 {
				time.Sleep(5 * time.Second)
				l.ok(l.Heartbeat(l.ctx, "b", wire.Heartbeat{Sequence: 1, Polling: row.polling}))
			}
			l.mu.Lock()
			result := l.holding(l.shared.revision)
			l.mu.Unlock()
			if result.Holding != row.holding || len(result.Missing) != 0 {
				t.Errorf("heartbeats in the poll: %t; %+v hold, want %d", row.polling, result, row.holding)
			}
			end()
			<-ended
		})
	}
}
