package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

// forged is a text that would remove its own line from a terminal, and write another one.
const forged = "all is well\x1b[2K\r\u009b1A\u202e\n2026-01-02 03:04:05  moved        db moved from a to b"

// TestTextOfOthersActsOnNoTerminal: whatever a node or an application says, it is a text in its line.
func TestTextOfOthersActsOnNoTerminal(t *testing.T) {
	s := newShell(t, func(w *apitest.World) {
		w.Events = []cluster.Event{{ID: 1, Time: time.Now(), Kind: "note", Message: forged}}
		w.Nodes = []wire.NodeStatus{{Node: cluster.Node{ID: "n", Name: "n", Labels: map[string]string{"x": forged}}, State: cluster.NodeState{
			Conflicts: []cluster.Conflict{{What: forged, WaysOut: []string{forged}}},
			Steps:     []cluster.StepState{{Kind: "open", Subject: "db", Error: forged}}}}}
		w.Volumes = []wire.VolumeStatus{{Volume: cluster.Volume{ID: "v", Name: "v", Metadata: map[string]string{forged: forged}},
			Copies: []wire.CopyStatus{{Node: "n", Copy: cluster.Copy{Warning: forged}}}}}
		w.MoveRevision, w.Moves = 1, []cluster.Move{{ID: "m", Application: "db", Phase: cluster.PhaseRolledBack, Reason: forged}}
		w.Status.Pending = []string{forged}
	})
	for _, args := range [][]string{{"events"}, {"status"}, {"node", "ls"}, {"node", "inspect", "n"}, {"volume", "inspect", "v"},
		{"move", "ls"}, {"move", "watch", "m"}, {"move", forged, "n"}} {
		out, said, _ := s.run("", args...)
		if !strings.Contains(out+said, "all is well") {
			t.Errorf("drover %q says nothing of it: %s%s", args, out, said)
		}
		for _, c := range "\x1b\r\u009b\u202e" {
			if strings.ContainsRune(out+said, c) {
				t.Errorf("drover %q writes %U to the terminal", args, c)
			}
		}
		if strings.Contains(out+said, "\n2026-01-02") && args[0] != "move" || strings.HasPrefix(out, "2026-01-02") {
			t.Errorf("drover %q lets a text begin a line of its own:\n%s%s", args, out, said)
		}
	}
	out, _, _ := s.run("", "events", "-o", "json")
	var events []cluster.Event
	if err := json.Unmarshal([]byte(out), &events); err != nil || events[0].Message != forged || strings.ContainsRune(out, '\u009b') {
		t.Errorf("for programs it is %q, %v", out, err)
	}
}

// TestAPrintableTextStaysAsItIs, however it is cut into writes; what is no text is shown as bytes.
func TestAPrintableTextStaysAsItIs(t *testing.T) {
	for text, want := range map[string]string{
		"käse €\n\tzwei 👩‍💻 \ufffd": "käse €\n\tzwei 👩‍💻 \ufffd",
		"a\x9bb\xffc\x7f\x00":       `a\x9bb\xffc\u007f\u0000`,
	} {
		for cut := range len(text) {
			var b strings.Builder
			p := &printable{w: &b}
			for _, part := range []string{text[:cut], text[cut:]} {
				if n, err := p.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
			}
			if b.String() != want {
				t.Errorf("%q, cut at %d, is written as %q, want %q", text, cut, b.String(), want)
			}
		}
	}
}

// TestLogsAreData: who reads them from a pipe gets the bytes that the application wrote.
func TestLogsAreData(t *testing.T) {
	s := newShell(t, func(w *apitest.World) { w.Output = forged })
	if out, said, code := s.run("", "logs", "db"); out != forged || code != 0 {
		t.Errorf("got %q, %s", out, said)
	}
}
