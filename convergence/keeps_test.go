package convergence

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
)

// keeper runs applications that keep data of their own.
type keeper struct {
	runtime.Runtime
	paths []string
	err   error
}

func (k keeper) Keeps(context.Context, cluster.Application) ([]string, error) { return k.paths, k.err }

func (k keeper) Aside(context.Context) ([]cluster.Kept, error) { return nil, k.err }

// TestAHandOffLeavesNothingBehind: the source goes by what there is, whatever was reported of it.
func TestAHandOffLeavesNothingBehind(t *testing.T) {
	a, _ := newUsedAgent(t)
	a.Log, a.Node.Name = slog.New(slog.DiscardHandler), "node-a"
	assignment := ownsData("a")
	assignment.Applications = []cluster.Application{{Name: "db", Volume: &cluster.Attachment{Volume: data}}}
	a.setAssignment(assignment)
	a.Runtime = keeper{paths: []string{"/cache"}}
	step := plan.Step{Volume: data, Move: cluster.Move{ID: "m", Volume: data, Application: "db", From: "a", To: "b", Attempt: 1}}
	if err := a.handOff(t.Context(), step); err != nil {
		t.Fatal(err)
	}
	got := a.attempts.outcomes["m"]
	if got.err == nil || !got.err.Final || !strings.Contains(got.err.Error(), "/cache") {
		t.Fatalf("the attempt ended with %v, want it final, with the path", got.err)
	}
	if told := cluster.Told(got.err, nil); strings.Count(told, "scratch") != 1 {
		t.Errorf("people are told %q, want the ways out, once", told)
	}
	a.Runtime = keeper{err: cluster.ErrUnavailable}
	step.Move.ID = "n"
	if err := a.handOff(t.Context(), step); !errors.Is(err, cluster.ErrUnavailable) || a.attempts.outcomes["n"].err != nil {
		t.Errorf("what is not known is taken for an answer: %v, %v", err, a.attempts.outcomes["n"].err)
	}
}
