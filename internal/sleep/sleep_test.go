package sleep_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/internal/sleep"
)

func TestForEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, why := time.Now(), errors.New("asked to stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(2*time.Second, func() { cancel(why) })
		if err := sleep.For(ctx, time.Second); err != nil || time.Since(began) != time.Second {
			t.Errorf("the first wait: %v after %s, want nil after 1s", err, time.Since(began))
		}
		if err := sleep.For(ctx, time.Hour); err != why || time.Since(began) != 2*time.Second {
			t.Errorf("the second wait: %v after %s, want %v after 2s", err, time.Since(began), why)
		}
	})
}
