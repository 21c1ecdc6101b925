package convergence

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime/mem"
	volumemem "github.com/drover/drover/volume/mem"
	"github.com/drover/drover/volume/transfer"
)

// A pair is two agents without a control service, of which a reaches b.
type pair struct {
	a, b       *Agent
	onA, onB   *mem.Runtime
	images     int // that were shipped
	unreliable int // how many sessions break before one does not
}

// newPair runs them until the test ends. It is called in a bubble.
func newPair(t *testing.T) *pair {
	p := &pair{onA: mem.New(nil), onB: mem.New(nil)}
	agent := func(id cluster.NodeID, apps *mem.Runtime) *Agent {
		a := &Agent{Node: cluster.Node{ID: id, Name: "node-" + string(id)}, Backend: volumemem.New(), Runtime: apps, Transport: p,
			Routes: noRoutes{}, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		return a
	}
	p.a, p.b = agent("a", p.onA), agent("b", p.onB)
	ctx, stop := context.WithCancel(t.Context())
	for _, a := range []*Agent{p.a, p.b} {
		go a.converge(ctx)
	}
	t.Cleanup(func() {
		stop()
		p.a.executor.Wait()
		p.b.executor.Wait()
		synctest.Wait()
	})
	return p
}

// tell is what the control service says while web runs on a and is to run on b.
func (p *pair) tell(app cluster.Application) {
	nodes := []cluster.Node{{ID: "a", Name: "node-a"}, {ID: "b", Name: "node-b"}}
	p.a.setAssignment(cluster.Assignment{Node: "a", Nodes: nodes, Applications: []cluster.Application{app}, Drains: []cluster.Drain{{Application: "web", To: "b"}}})
	p.b.setAssignment(cluster.Assignment{Node: "b", Nodes: nodes, Applications: []cluster.Application{app}, Arriving: []cluster.Arrival{{Application: &app, From: "a"}}})
}

func (p *pair) Dial(context.Context, cluster.Node) (transfer.Session, error) {
	if p.unreliable--; p.unreliable >= 0 {
		return nil, cluster.ErrUnavailable
	}
	return toB{pair: p}, nil
}

// toB is a session from a to b, for images alone.
type toB struct {
	transfer.Session
	pair *pair
}

func (s toB) HasImage(ctx context.Context, name string) (bool, error) {
	return s.pair.b.receiver.HasImage(ctx, "a", name)
}

func (s toB) SendImage(ctx context.Context, name string, save func(context.Context, io.Writer) error, _ transfer.Options) (int64, error) {
	s.pair.images++
	var b bytes.Buffer
	if err := save(ctx, &b); err != nil {
		return 0, err
	}
	return int64(b.Len()), s.pair.b.receiver.LoadImage(ctx, "a", name, &b)
}

func (toB) Close() error { return nil }

func runs(r *mem.Runtime) bool {
	all, _ := r.Instances(context.Background())
	return len(all) == 1 && all[0].Name == "web" && all[0].Running
}

// TestAnImageIsCarriedWithoutAVolume to where it is not to be had, once, and the application runs on meanwhile.
func TestAnImageIsCarriedWithoutAVolume(t *testing.T) {
	app := cluster.Application{Name: "web", Image: "web:1"}
	for _, row := range []struct {
		rule   string
		lacks  bool
		breaks int
		images int
	}{
		{"an image that is there stays there", false, 0, 0},
		{"one that is not is brought", true, 0, 1},
		{"also over a link that breaks at first", true, 3, 1},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t)
				p.unreliable = row.breaks
				if row.lacks {
					p.onB.Lack("web:1")
				}
				p.tell(app)
				time.Sleep(20 * time.Second)
				synctest.Wait()
				if !runs(p.onA) || !runs(p.onB) || p.images != row.images {
					t.Errorf("it runs on a: %t, on b: %t; %d images were shipped, want %d; b: %+v", runs(p.onA), runs(p.onB), p.images, row.images, p.b.executor.Failures())
				}
			})
		})
	}
}

// TestNothingStopsForWhatCannotRun: another definition whose image is not to be had.
func TestNothingStopsForWhatCannotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		place := func(image string) {
			p.a.setAssignment(cluster.Assignment{Node: "a", Applications: []cluster.Application{{Name: "web", Image: image}}})
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		place("web:1")
		before, _ := p.onA.Instances(t.Context())
		p.onA.Lack("web:2")
		place("web:2")
		after, _ := p.onA.Instances(t.Context())
		if !runs(p.onA) || !after[0].Started.Equal(before[0].Started) {
			t.Errorf("it was %+v and is %+v", before, after)
		}
		if failures := p.a.executor.Failures(); len(failures) != 1 {
			t.Errorf("what stands in the way is not said: %+v", failures)
		}
		place("web:3")
		if now, _ := p.onA.Instances(t.Context()); !runs(p.onA) || now[0].Fingerprint == before[0].Fingerprint {
			t.Errorf("what can run does not: %+v", now)
		}
	})
}
