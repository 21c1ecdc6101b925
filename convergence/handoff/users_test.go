package handoff_test

import (
	"errors"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/runtime"
)

// TestAHandOffStopsWhatRunsNow, whatever the move was asked for with.
func TestAHandOffStopsWhatRunsNow(t *testing.T) {
	for what, row := range map[string]struct {
		asked cluster.AppName
		runs  []runtime.Instance
		want  []string
	}{
		"an application that came later": {"", []runtime.Instance{{Name: "late", Volume: id, Running: true}}, []string{"hold", "stop", "asking", "commit", "settled"}},
		"one in place of another":        {"db", []runtime.Instance{{Name: "other", Volume: id, Running: true}}, []string{"hold", "stop", "asking", "commit", "settled"}},
		"one that is gone":               {"db", nil, []string{"hold", "asking", "commit", "settled"}},
		"one that has ended":             {"db", []runtime.Instance{{Name: "db", Volume: id}}, []string{"hold", "asking", "commit", "settled"}},
	} {
		t.Run(what, func(t *testing.T) {
			s := newStage(t)
			s.h.Move.Application, s.runs = row.asked, row.runs
			if err := s.h.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.happened(row.want...)
		})
	}
}

// TestWhatTheTargetGotReadyForIsWhatComes: an application that came, or changed, after it was asked stops
// nothing; the next attempt asks anew. One that went is not missed.
func TestWhatTheTargetGotReadyForIsWhatComes(t *testing.T) {
	for what, row := range map[string]struct {
		before, now cluster.Application
		moves       bool
	}{
		"the same":             {cluster.Application{Name: "db", Image: "db:1"}, cluster.Application{Name: "db", Image: "db:1"}, true},
		"placed where it goes": {cluster.Application{Name: "db", Node: "a"}, cluster.Application{Name: "db", Node: "b"}, true},
		"another one":          {cluster.Application{Name: "db", Image: "db:1"}, cluster.Application{Name: "db", Image: "db:2"}, false},
		"a new one":            {cluster.Application{}, cluster.Application{Name: "db"}, false},
		"none":                 {cluster.Application{Name: "db"}, cluster.Application{}, true},
	} {
		t.Run(what, func(t *testing.T) {
			s := newStage(t)
			s.h.Application, s.h.Wanted = row.before, func() cluster.Application { return row.now }
			err := s.h.Run(t.Context())
			if row.moves {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var failed *handoff.Error
			if !errors.As(err, &failed) || failed.Final {
				t.Errorf("got %v, want an attempt that failed", err)
			}
			s.happened()
		})
	}
}

// TestWhatDoesNotRunHasNothingToWriteOut: its command before the stop would only fail.
func TestWhatDoesNotRunHasNothingToWriteOut(t *testing.T) {
	s := newStage(t)
	s.h.Runtime = imageApp{app: app{stage: s}, broken: errors.New("not running")}
	s.h.Application = cluster.Application{Name: "db", Stop: cluster.StopPolicy{Before: []string{"checkpoint"}}}
	s.runs = []runtime.Instance{{Name: "db", Volume: id}}
	if err := s.h.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.happened("hold", "asking", "commit", "settled")
}
