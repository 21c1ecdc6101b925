package pki

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestHandshakesTakeTurns, and one that ends, or does not go on, makes room for the next.
func TestHandshakesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := make(handshakes, 2)
		shake := func() (end context.CancelFunc, result <-chan error) {
			ctx, end := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- h.turn(ctx) }()
			synctest.Wait()
			return end, done
		}
		begun := func(result <-chan error) bool {
			synctest.Wait()
			select {
			case err := <-result:
				return err == nil
			default:
				return false
			}
		}
		end, first := shake()
		endSecond, second := shake()
		endThird, third := shake()
		if !begun(first) || !begun(second) || begun(third) {
			t.Fatal("of three, with room for two, not the first two are under way")
		}
		end()
		if !begun(third) {
			t.Error("the third one does not follow the first")
		}
		endFourth, fourth := shake()
		time.Sleep(stalled)
		if !begun(fourth) {
			t.Error("two that do not go on keep out another one")
		}
		time.Sleep(stalled)
		for _, end := range []context.CancelFunc{endSecond, endThird, endFourth} {
			end()
		}
		synctest.Wait()
		if len(h) != 0 {
			t.Errorf("%d are under way after all have ended", len(h))
		}
		for range cap(h) {
			h <- struct{}{} // and stay
		}
		_, late := shake()
		time.Sleep(handshakePatience)
		synctest.Wait()
		if err := <-late; err == nil {
			t.Error("it waited for its turn, and has it though nobody has ended")
		}
		end, left := shake()
		end()
		synctest.Wait()
		if err := <-left; err == nil {
			t.Error("a client that left has its turn")
		}
	})
}
