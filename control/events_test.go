package control

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/rules"
)

func TestEvents(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		first, err := l.Events(l.ctx, 0)
		l.ok(err)
		last := first[len(first)-1].ID
		for i, e := range first {
			if e.ID != uint64(i+1) || e.Time.IsZero() {
				t.Errorf("event %d is %+v", i, e)
			}
		}

		soon, cancel := context.WithTimeout(l.ctx, time.Second)
		defer cancel()
		if none, err := l.Events(soon, last); err != nil || len(none) != 0 {
			t.Errorf("with nothing new: %v, %v; want neither", none, err)
		}

		got := make(chan []cluster.Event, 1)
		go func() {
			events, err := l.Events(l.ctx, last)
			if err != nil {
				t.Error(err)
			}
			got <- events
		}()
		synctest.Wait()
		l.ok(l.Record(l.ctx, cluster.Event{Node: "a", Kind: "killed", Message: "db did not stop in time and was killed"}))
		if events := arrived(t, got); len(events) != 1 || events[0].ID != last+1 || events[0].Kind != "killed" {
			t.Errorf("woken with %+v", events)
		}

		l.restart()
		l.ok(l.Record(l.ctx, cluster.Event{Kind: "x", Message: "y"}))
		if events, _ := l.Events(l.ctx, last); len(events) != 2 || events[1].ID != last+2 {
			t.Errorf("after a restart there are %+v", events)
		}
		l.wantKind(l.Record(l.ctx, cluster.Event{Kind: "x"}), cluster.ErrInvalid)
	})
}

func TestTheNewestEventsAreKept(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		for range 3 {
			_, err := l.update(l.ctx, func(w *rules.Write) error {
				for i := range records.KeptEvents / 2 {
					w.Tell(cluster.Event{Kind: "test", Message: fmt.Sprint(i)})
				}
				return nil
			})
			l.ok(err)
		}
		check := func() {
			t.Helper()
			events, err := l.Events(l.ctx, 0)
			l.ok(err)
			newest := events[len(events)-1].ID
			if len(events) != records.KeptEvents || events[0].ID != newest-records.KeptEvents+1 {
				t.Errorf("kept are %d events from %d to %d", len(events), events[0].ID, newest)
			}
		}
		check()
		l.restart()
		check()
	})
}

func TestANodeThatTellsOfMuchMakesNothingElseBeForgotten(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		for range 3 {
			_, err := l.update(l.ctx, func(w *rules.Write) error {
				for range records.KeptEvents / 2 {
					w.Tell(cluster.Event{Node: "c", Kind: "noise", Message: "x"})
				}
				return nil
			})
			l.ok(err)
		}
		l.ok(l.Record(l.ctx, cluster.Event{Node: "c", Kind: "newest", Message: strings.Repeat("x", 1<<20)}))
		check := func() {
			t.Helper()
			events, err := l.Events(l.ctx, 0)
			l.ok(err)
			noise := 0
			for _, e := range events {
				if e.Node == "c" {
					noise++
				}
				if len(e.Message) > 5000 {
					t.Errorf("a message of %d bytes is kept", len(e.Message))
				}
			}
			if noise != records.KeptOfNode {
				t.Errorf("%d events of one node are kept, want %d", noise, records.KeptOfNode)
			}
			l.wantEvent("owner", "db")
			l.wantEvent("newest", "x")
		}
		check()
		l.restart()
		check()
	})
}
