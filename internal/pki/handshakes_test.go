package pki

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestHandshakesTakeTurns, and one that ends, or does not go on, makes room for the next.
func TestHandshakesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandshakes(2)
		hosts := 0
		shake := func() (end context.CancelFunc, result <-chan error) {
			ctx, end := context.WithCancel(t.Context())
			done := make(chan error, 1)
			hosts++
			go func(host string) { done <- h.turn(ctx, host) }(fmt.Sprint(hosts))
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
		if len(h.turns) != 0 || len(h.of) != 0 {
			t.Errorf("%d are under way after all have ended, of %d addresses", len(h.turns), len(h.of))
		}
		for range cap(h.turns) {
			h.turns <- struct{}{} // and stay
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

// TestStrangersWaitBehindThemselves: who opens handshakes from one address, and ends none, keeps nobody else out.
func TestStrangersWaitBehindThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandshakes(mostHandshakes)
		for range 60 * 200 {
			time.Sleep(time.Second / 200)
			ctx, end := context.WithTimeout(t.Context(), 10*time.Second)
			defer end()
			go func() { _ = h.turn(ctx, "203.0.113.7") }()
		}
		began := time.Now()
		if err := h.turn(t.Context(), "10.0.0.2"); err != nil || time.Since(began) > 0 {
			t.Errorf("an agent at another address waits for %s: %v", time.Since(began), err)
		}
	})
}
