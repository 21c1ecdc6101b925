package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

// TestToStopWaitingIsNoFailure: who interrupts a command that waits, or gave it a timeout, hears what
// goes on and how to see or to end it.
func TestToStopWaitingIsNoFailure(t *testing.T) {
	app, on := deployment(t)
	rows := []struct {
		args  []string
		until string // said when it waits
		want  []string
	}{
		{[]string{"move", "db", "n"}, "precopy", []string{"no longer waiting; the move of db goes on", "drover move watch m", "drover move abort m"}},
		{[]string{"move", "watch", "m"}, "precopy", []string{"no longer waiting; the move of db goes on", "drover move abort m"}},
		{[]string{"move", "abort", "m"}, "", []string{"no longer waiting; the move of db goes on", "drover move watch m"}},
		{[]string{"deploy", app, on}, "waiting for:", []string{"no longer waiting; the deployment goes on", "db: it starts", "drover status"}},
		{[]string{"snapshot", "create", "v", "s"}, "n: not heard of", []string{"no longer waiting; the node goes on with volume v", "drover snapshot ls v"}},
	}
	s := newShell(t, func(w *apitest.World) {
		w.MoveRevision, w.Moves = 1, []cluster.Move{{ID: "m", Application: "db", Phase: cluster.PhasePrecopy}}
		w.Nodes = []wire.NodeStatus{{Node: cluster.Node{ID: "n", Name: "n"}}}
		w.Volumes = []wire.VolumeStatus{{Volume: cluster.Volume{ID: "v", Name: "v"}, Ownership: cluster.Ownership{Owner: "n", Created: true}}}
		w.Status.Pending = []string{"db: it starts"}
	})
	for _, row := range rows {
		check := func(how, said string, code, want int) {
			t.Helper()
			if code != want || strings.Contains(said, "context ") {
				t.Errorf("drover %q, %s: exit status %d, want %d: %s", row.args, how, code, want, said)
			}
			for _, text := range row.want {
				if !strings.Contains(said, text) {
					t.Errorf("drover %q, %s: said %s\nwant %q", row.args, how, said, text)
				}
			}
		}
		if row.until != "" {
			_, said, code := s.run(row.until, row.args...)
			check("interrupted", said, code, 130)
			s.service.Set(func(w *apitest.World) { w.Configuration = cluster.Configuration{}.Clone() })
		}
		_, said, code := s.run("", append(row.args, "--timeout", "100ms")...)
		check("timed out", said, code, 4)
	}
	s.service.Set(func(w *apitest.World) { w.Events = []cluster.Event{{ID: 1, Message: "something"}} })
	if _, said, code := s.run("something", "events", "--follow"); said != "drover: interrupted\n" || code != 130 {
		t.Errorf("drover events --follow, interrupted: exit status %d: %s", code, said)
	}
}

// deployment writes the two files that place db on n.
func deployment(t *testing.T) (app, on string) {
	t.Helper()
	app, on = filepath.Join(t.TempDir(), "app.yml"), filepath.Join(t.TempDir(), "on.yml")
	for file, text := range map[string]string{app: "version: 1\napplications:\n  db: {command_line: [db]}\n", on: "version: 1\nnodes: {n: [db]}\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return app, on
}

// TestWhatIsCommittedIsNotOfferedForAbort: a hint that leads nowhere is none.
func TestWhatIsCommittedIsNotOfferedForAbort(t *testing.T) {
	for _, row := range []struct {
		move cluster.Move
		gone bool
	}{
		{cluster.Move{Phase: cluster.PhaseFinal}, false},
		{cluster.Move{Phase: cluster.PhasePrecopy, Aborting: true}, true},
		{cluster.Move{Phase: cluster.PhasePromote}, true},
		{cluster.Move{Phase: cluster.PhaseRolledBack}, true},
	} {
		m := row.move
		m.ID, m.Application = "m", "db"
		if hint := deployHint([]cluster.Move{m}); strings.Contains(hint, "abort") == row.gone || !strings.Contains(hint, "drover status") {
			t.Errorf("a deployment with a move that is %+v: %s", row.move, hint)
		}
		if m.Phase.Ended() {
			continue
		}
		s := newShell(t, func(w *apitest.World) { w.MoveRevision, w.Moves = 1, []cluster.Move{m} })
		for _, args := range [][]string{{"move", "watch", "m"}, {"move", "abort", "m"}} {
			_, said, _ := s.run("", append(args, "--timeout", "100ms")...)
			if strings.Contains(said, "drover move abort") == row.gone || !strings.Contains(said, "drover move watch m") {
				t.Errorf("drover %q of a move that is %+v: %s", args, row.move, said)
			}
		}
	}
}

// TestEveryCommandThatWaitsHasATimeout, the same one.
func TestEveryCommandThatWaitsHasATimeout(t *testing.T) {
	waiting := "move; move watch; move abort; deploy; volume create; volume adopt; volume clone; volume rollback; volume takeover; " +
		"volume resize; volume undelete; snapshot create; snapshot rm"
	root := newRoot(stdio{})
	for _, path := range strings.Split(waiting, "; ") {
		c, rest, err := root.Find(strings.Fields(path))
		if err != nil || len(rest) != 0 || c.Flags().Lookup("timeout") == nil {
			t.Errorf("drover %s has no --timeout: %v, %q", path, err, rest)
		}
	}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if path := strings.TrimPrefix(c.CommandPath(), "drover "); c.Flags().Lookup("wait") != nil && !strings.Contains(waiting, path) {
			t.Errorf("drover %s waits as well", path)
		}
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit(root)
}
