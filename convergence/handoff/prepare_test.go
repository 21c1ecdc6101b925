package handoff_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/volume"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// imageApp is an application that runs from an image and has a command to run before its stop.
type imageApp struct {
	app
	broken error // what the command ends with
}

func (a imageApp) Exec(_ context.Context, _ cluster.AppName, command []string) error {
	a.stage.note("run %s", strings.Join(command, " "))
	a.stage.write("made to be written out")
	return a.broken
}

func (a imageApp) HasImage(context.Context, string) (bool, error)     { return true, nil }
func (a imageApp) EnsureImage(context.Context, string) error          { return nil }
func (a imageApp) LoadImage(context.Context, string, io.Reader) error { return nil }

func (a imageApp) SaveImage(_ context.Context, name string, w io.Writer) error {
	a.stage.note("save %s", name)
	_, err := fmt.Fprint(w, "the layers of "+name)
	return err
}

// TestTheImageGoesFirst, once: a target that has it does not get it again.
func TestTheImageGoesFirst(t *testing.T) {
	s := newStage(t)
	s.h.Runtime = imageApp{app: app{stage: s}}
	s.h.Application = cluster.Application{Name: "db", Image: "db:1"}
	if err := s.h.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.happened("save db:1", "hold", "stop", "asking", "commit", "settled")

	again := newStage(t)
	again.h.Runtime, again.h.Application = imageApp{app: app{stage: again}}, s.h.Application
	transport := s.h.Transport.(*transfermem.Transport) // which holds the image
	transport.Nodes = map[cluster.NodeID]volume.Backend{"b": again.to}
	again.h.Transport = transport
	if err := again.h.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	again.happened("hold", "stop", "asking", "commit", "settled")
}

// TestTheCommandBeforeTheStop runs while clients are served, and what it made the application write
// out is shipped before they are held.
func TestTheCommandBeforeTheStop(t *testing.T) {
	s := newStage(t)
	s.h.Runtime = imageApp{app: app{stage: s}}
	s.h.Application = cluster.Application{Name: "db", Stop: cluster.StopPolicy{Before: []string{"checkpoint", "now"}}}
	shipped := ""
	s.hold = func() error {
		files, err := s.to.Read(id)
		if err == nil && files["made to be written out"] != nil {
			shipped = "before the hold"
		}
		return err
	}
	if err := s.h.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.happened("run checkpoint now", "hold", "stop", "asking", "commit", "settled")
	if shipped == "" {
		t.Error("what the command made the application write was not shipped before the hold")
	}
}

func TestACommandThatFailsEndsTheAttempt(t *testing.T) {
	s := newStage(t)
	s.h.Runtime = imageApp{app: app{stage: s}, broken: errors.New("no such table")}
	s.h.Application = cluster.Application{Name: "db", Stop: cluster.StopPolicy{Before: []string{"checkpoint"}}}
	var failed *handoff.Error
	if err := s.h.Run(t.Context()); !errors.As(err, &failed) || failed.Final || !strings.Contains(err.Error(), "no such table") {
		t.Errorf("got %v, want an attempt that ended for that reason", err)
	}
	s.happened("run checkpoint")
}

// TestABaseOfNoUse: what both sides hold by name and cannot build on is shipped in full.
func TestABaseOfNoUse(t *testing.T) {
	s := newStage(t)
	s.h.Move.To = "b"
	if err := s.h.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Back again: now b is the source, and a holds the last snapshot.
	back := newStage(t)
	back.from, back.to = s.to, s.from
	if _, err := back.from.Open(t.Context(), id, 2, s.copy(s.to).Head); err != nil {
		t.Fatal(err)
	}
	back.epoch = 2
	back.h.Move.Epoch, back.h.Move.From, back.h.Move.ID = 2, "b", "87654321-move"
	back.h.Backend = back.from
	var sent []string
	back.h.Transport = &transfermem.Transport{Nodes: map[cluster.NodeID]volume.Backend{"b": back.to}, Fail: func(d volume.Delta) error {
		sent = append(sent, string(d.From))
		if len(sent) == 1 {
			return fmt.Errorf("%w: no parent", cluster.ErrStale)
		}
		return nil
	}}
	if err := back.h.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(sent) < 3 || sent[0] == "" || sent[1] != "" {
		t.Errorf("the bases of the rounds were %q, want one that is of no use and then a full copy", sent)
	}
}
