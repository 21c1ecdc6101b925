package control

import "context"

// A signal frees all who wait on it at once. The zero signal works. The service's mu guards it.
type signal struct{ raised chan struct{} }

// wait returns a channel that is closed when the signal is raised next.
func (s *signal) wait() <-chan struct{} {
	if s.raised == nil {
		s.raised = make(chan struct{})
	}
	return s.raised
}

func (s *signal) raise() {
	if s.raised != nil {
		close(s.raised)
		s.raised = nil
	}
}

// await calls look, with mu held, at once and whenever the signal that it returned was raised, until
// it returns none or an error; or it returns the error of ctx. Every long poll waits here.
func (s *Service) await(ctx context.Context, look func() (*signal, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		again, err := look()
		if again == nil || err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		raised := again.wait()
		s.mu.Unlock()
		select {
		case <-raised:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
}
