package ssh

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/volume/transfer"
)

func TestMeterLimitsTheRate(t *testing.T) {
	for _, row := range []struct {
		rule            string
		perSecond       int64
		piece, pieces   int
		atLeast, atMost time.Duration
	}{
		{"no limit", 0, 1 << 20, 10, 0, 0},
		{"1 MB/s", 1e6, 100_000, 100, 9 * time.Second, 11 * time.Second},
		{"pieces larger than what a second may carry", 1000, 10_000, 1, 8 * time.Second, 11 * time.Second},
		{"one byte a second", 1, 5, 1, 4 * time.Second, 5 * time.Second},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newMeter(transfer.Options{BytesPerSecond: row.perSecond}).writer(t.Context(), io.Discard)
				began := time.Now()
				for range row.pieces {
					if n, err := w.Write(make([]byte, row.piece)); err != nil || n != row.piece {
						t.Fatal(n, err)
					}
				}
				if took := time.Since(began); took < row.atLeast || took > row.atMost {
					t.Errorf("%d bytes took %s, want %s to %s", row.piece*row.pieces, took, row.atLeast, row.atMost)
				}
			})
		})
	}
}

func TestMeterReportsAFewTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reports []int64
		m := newMeter(transfer.Options{Progress: func(n int64) { reports = append(reports, n) }})
		w := m.writer(t.Context(), io.Discard)
		for range 1000 { // in two seconds
			time.Sleep(2 * time.Millisecond)
			w.Write(make([]byte, 10))
		}
		if n := m.finish(); n != 10_000 || reports[len(reports)-1] != 10_000 {
			t.Errorf("ended at %d with the reports %v", n, reports)
		}
		if n := len(reports); n < 9 || n > 11 {
			t.Errorf("%d reports in two seconds, want 5 a second and one at the end", n)
		}
	})
}

func TestMeterEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("held for too long")
		ctx, cancel := context.WithCancelCause(t.Context())
		w := newMeter(transfer.Options{BytesPerSecond: 1}).writer(ctx, io.Discard)
		time.AfterFunc(time.Second, func() { cancel(cause) })
		if _, err := w.Write(make([]byte, 100)); !errors.Is(err, cause) {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

func TestMeterSaysAtOnceThatTimeIsTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		w := newMeter(transfer.Options{BytesPerSecond: 1}).writer(ctx, io.Discard)
		_, err := w.Write(make([]byte, 100))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
	})
}
