package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

// TestANodeIsRemovedOnlyIfThatIsConfirmed: first it is said what follows, and without a terminal nobody can be
// asked.
func TestANodeIsRemovedOnlyIfThatIsConfirmed(t *testing.T) {
	for _, row := range []struct {
		args []string
		code int
		want []wire.RemovalRequest // what is asked of the service, one after another
		said []string
	}{
		{[]string{"node", "rm", "a"}, 1, []wire.RemovalRequest{{}},
			[]string{"node a (10.0.0.1) would be removed", "  volume db has no owner", "without a terminal; nothing was changed", "--yes"}},
		{[]string{"node", "rm", "a", "--yes"}, 0, []wire.RemovalRequest{{Confirmed: true}}, []string{"node a (10.0.0.1) is removed", "  volume db has no owner"}},
		{[]string{"node", "replace", "a", "b"}, 1, []wire.RemovalRequest{{Replacement: "b"}}, []string{"would be removed"}},
		{[]string{"node", "replace", "a", "b", "--yes", "--leave"}, 0, []wire.RemovalRequest{{Replacement: "b", Leave: true, Confirmed: true}}, []string{"is removed"}},
	} {
		s := newShell(t, func(w *apitest.World) {
			w.Removal = wire.Removal{Node: cluster.Node{ID: "id", Name: "a", Address: "10.0.0.1"}, Consequences: []string{"volume db has no owner"}}
		})
		out, said, code := s.run("", row.args...)
		var asked []wire.RemovalRequest
		for _, c := range s.service.Calls() {
			asked = append(asked, c.Arguments[1].(wire.RemovalRequest))
		}
		if code != row.code || !slices.Equal(asked, row.want) {
			t.Errorf("drover %q: exit status %d, want %d; it asked for %+v, want %+v", row.args, code, row.code, asked, row.want)
		}
		for _, text := range row.said {
			if !strings.Contains(out+said, text) {
				t.Errorf("drover %q: %s%s\nwant %q", row.args, out, said, text)
			}
		}
	}
}

func TestRemovedNodesAreListedAndLetInAgain(t *testing.T) {
	s := newShell(t, func(w *apitest.World) {
		w.Removed = []cluster.RemovedNode{{ID: "id", Name: "a", Address: "10.0.0.1", At: time.Now(), By: "user me"}}
	})
	if out, said, _ := s.run("", "node", "ls", "--removed"); !strings.Contains(out, "a     id  10.0.0.1") || !strings.Contains(out, "user me") {
		t.Errorf("the removed nodes are %s%s", out, said)
	}
	if out, said, _ := s.run("", "node", "readmit", "a"); !strings.Contains(out, "node a may register again") {
		t.Errorf("readmit says %s%s", out, said)
	}
}

// TestADeployDoesNotWaitForANodeThatIsGone, be it for what it runs, or for a move to it that is committed.
func TestADeployDoesNotWaitForANodeThatIsGone(t *testing.T) {
	app, on := deployment(t)
	const waits = "db: moving to b (promote): b has not opened the volume yet"
	for rule, moves := range map[string][]cluster.Move{"nothing moves": nil, "it moves there": {{ID: "m", Application: "db", Phase: cluster.PhasePromote}}} {
		s := newShell(t, func(w *apitest.World) {
			w.MoveRevision, w.Moves = 1, moves
			w.Nodes = []wire.NodeStatus{{Node: cluster.Node{ID: "n", Name: "n"}}}
			w.Status.Pending = []string{waits}
			w.Status.Gone = []wire.GoneNode{{Node: "b", Name: "b", Since: time.Now().Add(-time.Minute), Waits: w.Status.Pending}}
		})
		if moves != nil {
			s.service.Set(func(w *apitest.World) { w.Opened = []cluster.MoveID{"m"} })
		}
		began := time.Now()
		_, said, code := s.run("", "deploy", app, on, "--timeout", "20s")
		if code != 4 || time.Since(began) > 10*time.Second {
			t.Errorf("%s: exit status %d after %s", rule, code, time.Since(began))
		}
		for _, text := range []string{"what is left waits for node b, which has not been heard of since", waits, "drover node rm b"} {
			if !strings.Contains(said, text) {
				t.Errorf("%s: %s\nwant %q", rule, said, text)
			}
		}
	}
}

// TestAMoveIsNamedByWhatMoves, or by the beginning of its id.
func TestAMoveIsNamedByWhatMoves(t *testing.T) {
	moves := []cluster.Move{
		{ID: "db01", Volume: "v-1", Name: "data", Application: "web", Phase: cluster.PhasePrecopy},
		{ID: "02", Volume: "v-2", Name: "log", Application: "db", Phase: cluster.PhaseWaiting},
		{ID: "03", Volume: "v-1", Name: "data", Application: "web", Phase: cluster.PhaseDone},
		{ID: "04", Application: "old", Phase: cluster.PhaseDone},
	}
	for name, want := range map[string]cluster.MoveID{"web": "db01", "data": "db01", "v-2": "02", "db": "02", "db0": "db01", "03": "03", "old": "", "0": "", "": ""} {
		if m, err := moveNamed(moves, name); m.ID != want || (err == nil) != (want != "") {
			t.Errorf("%q is move %q, %v; want %q", name, m.ID, err, want)
		}
	}
}

// TestAQuestionEndsWithItsCommand: who is asked and changes his mind interrupts it.
func TestAQuestionEndsWithItsCommand(t *testing.T) {
	silent, _ := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := line(ctx, silent); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	for _, said := range []string{"yes\n", "yes"} {
		if got, err := line(t.Context(), strings.NewReader(said)); err != nil || strings.TrimSpace(got) != "yes" {
			t.Errorf("%q is read as %q, %v", said, got, err)
		}
	}
}
