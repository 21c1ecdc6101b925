package main

import (
	"context"
	"sync"
	"time"
)

// A prober asks a service again and again, each time over a new connection as a new client would,
// and remembers the longest time without an answer.
type prober struct {
	// ask makes one request and waits for its answer.
	ask func(ctx context.Context) error

	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	last    time.Time // when the last answer came
	longest time.Duration
	answers int
}

// askTimeout bounds one request: longer than any pause.
const askTimeout = 60 * time.Second

func startProber(ctx context.Context, ask func(context.Context) error) *prober {
	p := &prober{ask: ask, done: make(chan struct{}), last: time.Now()}
	ctx, p.cancel = context.WithCancel(ctx)
	go func() {
		defer close(p.done)
		for ctx.Err() == nil {
			one, cancel := context.WithTimeout(ctx, askTimeout)
			err := p.ask(one)
			cancel()
			if err == nil {
				p.answered()
			}
			time.Sleep(time.Millisecond) // the resolution of what is measured
		}
	}()
	return p
}

func (p *prober) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.longest = max(p.longest, time.Since(p.last))
	p.last = time.Now()
	p.answers++
}

// waitAnswers waits until that many more answers have come.
func (p *prober) waitAnswers(ctx context.Context, n int) error {
	p.mu.Lock()
	want := p.answers + n
	p.mu.Unlock()
	for {
		p.mu.Lock()
		enough := p.answers >= want
		p.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// during does something, waits until the service answers again, and returns the longest time
// without an answer meanwhile in milliseconds.
func (p *prober) during(ctx context.Context, do func() error) (float64, error) {
	if err := p.waitAnswers(ctx, 20); err != nil {
		return 0, err
	}
	p.mu.Lock()
	p.longest = 0
	p.mu.Unlock()
	if err := do(); err != nil {
		return 0, err
	}
	if err := p.waitAnswers(ctx, 20); err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.longest.Microseconds()) / 1000, nil
}

func (p *prober) stop() {
	p.cancel()
	<-p.done
}
