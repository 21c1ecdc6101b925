package receiver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
)

const data cluster.VolumeID = "f48139f3-d9bf-4ab0-b537-4212e06f3994"

// A target is a node to which a move brings the volume data, called ledger, with the application db: its
// runtime, its disk and the control service that it answers.
type target struct {
	runtime.Runtime
	free    int64
	unfit   error // why db cannot run there
	answers []wire.ReadyReport
	away    error // the control service
	events  []cluster.Event
	diverts error // what Receive finds
}

// A disk is that of a target.
type disk struct {
	*mem.Backend
	of *target
}

func (d disk) Space(context.Context) (volume.Space, error) {
	return volume.Space{Free: d.of.free, Total: d.of.free}, nil
}

func (d disk) Receive(context.Context, volume.Delta, io.Reader) error { return d.of.diverts }

func (n *target) Check(context.Context, runtime.Spec) error  { return n.unfit }
func (n *target) Create(context.Context, runtime.Spec) error { return nil }

func (n *target) Ready(_ context.Context, _ cluster.MoveID, r wire.ReadyReport) error {
	n.answers = append(n.answers, r)
	return n.away
}

func receives() (*Receiver, *target) {
	n := &target{free: 1 << 40}
	r := &Receiver{Node: cluster.Node{ID: "a", Name: "node-a"}, Backend: disk{mem.New(), n}, Runtime: n, Control: n, Log: slog.New(slog.DiscardHandler),
		Record: func(_ context.Context, e cluster.Event) { n.events = append(n.events, e) }}
	r.Assign(arrives(10 << 20))
	return r, n
}

func arrives(needs int64) cluster.Assignment {
	return cluster.Assignment{Node: "a", Moves: []cluster.Move{move}, Arriving: []cluster.Arrival{{Move: "m", NeedBytes: needs, FromBackend: "zfs",
		Volume: cluster.Volume{ID: data, Name: "ledger", MaximumSize: 64 << 30}, Application: &cluster.Application{Name: "db"}}}}
}

var (
	move = cluster.Move{ID: "m", Volume: data, From: "b", To: "a", Attempt: 1}
	step = plan.Step{Kind: plan.GetReady, Volume: data, Move: move}
)

// TestWhatIsReadyIsSaidOnce, and remembered as long as the move is open.
func TestWhatIsReadyIsSaidOnce(t *testing.T) {
	r, n := receives()
	n.away = cluster.ErrUnavailable
	if err := r.GetReady(t.Context(), step); !errors.Is(err, cluster.ErrUnavailable) || len(r.Answered()) != 0 {
		t.Errorf("nobody heard it: %v, answered %v", err, r.Answered())
	}
	n.away = nil
	if err := r.GetReady(t.Context(), step); err != nil || r.Answered()["m"] != 1 || n.answers[1].Refused != "" {
		t.Errorf("%v, answered %v, said %+v", err, r.Answered(), n.answers)
	}
	if !r.Arrives(data) {
		t.Error("it does not arrive")
	}
	r.Assign(cluster.Assignment{Node: "a"})
	if len(r.Answered()) != 0 || r.Arrives(data) {
		t.Errorf("the move has ended, answered %v", r.Answered())
	}
	if err := r.GetReady(t.Context(), step); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("for a move that has ended: %v", err)
	}
}

// TestWhatCannotPassIsRefused, with a reason for people; what may pass is tried again.
func TestWhatCannotPassIsRefused(t *testing.T) {
	r, n := receives()
	n.unfit = cluster.ErrUnavailable
	if err := r.GetReady(t.Context(), step); !errors.Is(err, cluster.ErrUnavailable) || len(n.answers) != 0 {
		t.Errorf("%v, said %+v", err, n.answers)
	}
	n.unfit = cluster.WithHint(errors.Join(cluster.ErrRefused, errors.New("volume "+string(data)+" is no home")), "move it")
	if err := r.GetReady(t.Context(), step); err != nil || len(n.answers) != 1 || !strings.Contains(n.answers[0].Refused, "volume ledger is no home (move it)") {
		t.Errorf("%v, said %+v", err, n.answers)
	}
}

// TestRoomIsCheckedByWhatIsAllocated: a volume of 64 GiB of holes with 10 MiB in them needs 10 MiB.
func TestRoomIsCheckedByWhatIsAllocated(t *testing.T) {
	for _, row := range []struct {
		rule        string
		needs, free int64
		refused     bool
	}{
		{rule: "what is allocated, and a twentieth", needs: 10 << 20, free: 11 << 20},
		{rule: "no less", needs: 10 << 20, free: 10 << 20, refused: true},
	} {
		r, n := receives()
		n.free = row.free
		r.Assign(arrives(row.needs))
		if err := r.GetReady(t.Context(), step); err != nil {
			t.Fatal(err)
		}
		if refused := n.answers[0].Refused; (refused != "") != row.refused {
			t.Errorf("%s: refused: %q", row.rule, refused)
		}
	}
}

// TestWhatArrivesIsLabeled with what this node's assignment calls it, and comes from the source of its move alone.
func TestWhatArrivesIsLabeled(t *testing.T) {
	r, _ := receives()
	d, err := r.Permit("b", volume.Delta{Volume: data, To: "s"})
	if err != nil || d.To != "s" || d.Labels != (volume.Labels{Name: "ledger", Application: "db"}) {
		t.Errorf("got %+v, %v", d, err)
	}
	for what, refused := range map[string]func() error{
		"a node that has no move here": func() error { _, err := r.Permit("c", volume.Delta{Volume: data}); return err },
		"another volume":               func() error { _, err := r.Permit("b", volume.Delta{Volume: "other"}); return err },
		"a move that is committed": func() error {
			a := arrives(0)
			a.Moves[0].Phase = cluster.PhasePromote
			r.Assign(a)
			_, err := r.Permit("b", volume.Delta{Volume: data})
			return err
		},
	} {
		if err := refused(); !errors.Is(err, cluster.ErrForbidden) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestWhatIsSetAsideForAStreamIsTold, and the backend is still to be had beneath.
func TestWhatIsSetAsideForAStreamIsTold(t *testing.T) {
	r, n := receives()
	n.diverts = &volume.Diverged{}
	if err := r.Inbound().Receive(t.Context(), volume.Delta{Volume: data}, strings.NewReader("")); err == nil || len(n.events) != 1 || n.events[0].Kind != "diverged" {
		t.Errorf("%v, events %+v", err, n.events)
	}
	if _, ok := volume.As[volume.Trasher](r.Inbound()); !ok {
		t.Error("what the backend can do is hidden")
	}
}

// TestARoundThatFillsTheDiskIsRefused, so that no move is committed to a node where nothing can start.
func TestARoundThatFillsTheDiskIsRefused(t *testing.T) {
	r, n := receives()
	n.free = startRoom - 1 // somebody has filled it since the target got ready
	err := r.Inbound().Receive(t.Context(), volume.Delta{Volume: data}, strings.NewReader(""))
	if !errors.Is(err, cluster.ErrRefused) || !strings.Contains(err.Error(), "node-a") {
		t.Errorf("a round without room beside it: %v", err)
	}
	n.free = startRoom
	if err := r.Inbound().Receive(t.Context(), volume.Delta{Volume: data}, strings.NewReader("")); err != nil {
		t.Errorf("a round with room beside it: %v", err)
	}
}
