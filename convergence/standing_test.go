package convergence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/runtime/mem"
	"github.com/drover/drover/internal/sleep"
	"github.com/drover/drover/volume"
	volumemem "github.com/drover/drover/volume/mem"
)

// A gate is a control service that answers registrations with an error, or takes the node in.
type gate struct {
	Control
	mu      sync.Mutex
	err     error
	unsaid  bool // what the node is to do
	reports int
}

func (g *gate) answers(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

func (g *gate) Register(context.Context, cluster.Node) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Assignment gives who knows nothing what it is to do, unless that is not known yet.
func (g *gate) Assignment(ctx context.Context, node cluster.NodeID, since cluster.Revision, wait time.Duration) (cluster.Assignment, bool, error) {
	g.mu.Lock()
	said := since == 0 && g.err == nil && !g.unsaid
	g.mu.Unlock()
	if !said {
		_ = sleep.For(ctx, wait)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return webOn(node), said, g.err
}

// webOn is what is on the disk of the agent, too.
func webOn(node cluster.NodeID) cluster.Assignment {
	return cluster.Assignment{Revision: 7, Node: node, Applications: []cluster.Application{{Name: "web"}}, Routes: []cluster.Route{{External: 80}},
		Volumes: []cluster.OwnedVolume{{Volume: cluster.Volume{ID: data, Name: "pgdata"}, Ownership: cluster.Ownership{Volume: data, Owner: node, Epoch: 1, Created: true}}}}
}

func (g *gate) Report(context.Context, cluster.NodeState) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reports++
	return g.err
}

func (g *gate) Heartbeat(context.Context, cluster.NodeID, wire.Heartbeat) error { return nil }

// rivals is a membership in which another host may take part as this node.
type rivals struct {
	crowd
	at string
}

func (r *rivals) Rival() string { return r.at }

// TestWhoActsByWhatItsDiskSays: an agent that starts with an assignment on its disk, which may be a copy of
// another one's.
func TestWhoActsByWhatItsDiskSays(t *testing.T) {
	away := fmt.Errorf("%w: no answer", cluster.ErrUnavailable)
	cloned := fmt.Errorf("%w: another one speaks as it", cluster.ErrConflict)
	awaited := fmt.Errorf("%w: another one may yet come", cluster.ErrAwaited)
	home := cluster.Node{ID: "a", Name: "node-a", Address: "10.0.0.1", Era: "1"}
	at := func(address string) cluster.Node {
		n := home
		n.Address, n.Era = address, "2"
		return n
	}
	beside := home // a copy of its directory, on the same host
	beside.Address = "127.0.0.9"
	moved := at("10.0.0.9")
	moved.FormerAddress = home.Address
	for _, row := range []struct {
		rule  string
		node  cluster.Node
		rival string
		first error // what registrations are answered
		then  error // and after a while
		acts  []bool
		quiet bool // it is not said what the node is to do
	}{
		{"it is taken for the node", home, "", nil, nil, []bool{true, true}, false},
		{"it is refused, and waits until it is not", home, "", cloned, nil, []bool{false, true}, false},
		{"what refused it does not answer any more: that takes nothing back", home, "", cloned, away, []bool{false, false}, false},
		{"another one may come first: it waits", home, "", awaited, awaited, []bool{false, false}, false},
		{"until nobody answers any more", home, "", awaited, away, []bool{false, true}, false},
		{"who goes on by what it has does not stop for that", home, "", away, awaited, []bool{true, true}, false},
		{"nobody answers: it goes on by what it has", home, "", away, away, []bool{true, true}, false},
		{"also after a boot", at(home.Address), "", away, away, []bool{true, true}, false},
		{"it is at another address: it may be a copy", at("10.0.0.9"), "", away, away, []bool{false, false}, false},
		{"also on the host that it was on", beside, "", away, away, []bool{false, false}, false},
		{"which the control service says that it is not", at("10.0.0.9"), "", away, nil, []bool{false, true}, false},
		{"or whoever gave it that address", moved, "", away, away, []bool{true, true}, false},
		{"another host takes part as this node", home, "10.0.0.8:7946", away, away, []bool{false, false}, false},
		{"but it is the node, as the control service says", home, "10.0.0.8:7946", nil, away, []bool{true, true}, false},
		{"it is taken for the node, and what it is to do is not known yet", home, "", nil, nil, []bool{false, false}, true},
	} {
		t.Run(row.rule, func(t *testing.T) {
			dir := t.TempDir()
			if err := (&standing{admitted: true}).keep(dir, home); err != nil {
				t.Fatal(err)
			}
			if _, err := saveAssignment(dir, webOn("a")); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				g, apps, disk := &gate{err: row.first, unsaid: row.quiet}, mem.New(nil), volumemem.New()
				// As it was when the host died, or was copied.
				if err := errors.Join(disk.Create(t.Context(), data, volume.Options{}), opened(disk.Open(t.Context(), data, 1, ""))); err != nil {
					t.Fatal(err)
				}
				served := &lastRoutes{}
				a := &Agent{Node: row.node, Backend: disk, Runtime: apps, Control: g, Members: &rivals{at: row.rival}, Routes: served,
					Dir: dir, Log: slog.New(slog.DiscardHandler)}
				if err := a.Start(); err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- a.Run(ctx) }()
				for i, want := range row.acts {
					time.Sleep(10 * time.Second)
					synctest.Wait()
					if runs(apps) != want {
						t.Errorf("look %d: it acts: %t", i+1, runs(apps))
					}
					within, cancel := context.WithTimeout(ctx, time.Second)
					if path, err := a.Mounts().Use(within, "pgdata", "m"); (err == nil) != want {
						t.Errorf("look %d: a container gets the path %q, %v", i+1, path, err)
					}
					cancel()
					g.answers(row.then)
				}
				if row.then != nil && !row.acts[1] && g.reports > 0 {
					t.Errorf("it spoke as the node %d times", g.reports)
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if refused := row.first == cloned && row.then == away; refused == (len(served.routes) > 0) {
					t.Errorf("it was refused: %t, and serves %+v", refused, served.routes)
				}
			})
		})
	}
}

func opened(_ string, err error) error { return err }
