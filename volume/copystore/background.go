package copystore

import (
	"context"
	"sync"
)

// A background does what nobody waits for: one thing at a time, and none after its end.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc
	turn   chan struct{}
	all    *sync.WaitGroup
}

func newBackground() background {
	ctx, cancel := context.WithCancel(context.Background())
	return background{ctx, cancel, make(chan struct{}, 1), &sync.WaitGroup{}}
}

// start does something when its turn comes, unless it is too late.
func (b *background) start(do func(ctx context.Context)) bool {
	if b.ctx.Err() != nil {
		return false
	}
	b.all.Go(func() {
		select {
		case b.turn <- struct{}{}:
			defer func() { <-b.turn }()
			do(b.ctx)
		case <-b.ctx.Done():
		}
	})
	return true
}

// end cancels what is under way and waits for it.
func (b *background) end() {
	b.cancel()
	b.all.Wait()
}
