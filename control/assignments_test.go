package control

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/wire"
)

// changes returns what a host that was told something is told next, if there is anything.
func (h *host) changes(since cluster.Revision) (wire.AssignmentChanges, bool) {
	h.lab.t.Helper()
	ctx, cancel := context.WithTimeout(h.lab.ctx, time.Nanosecond)
	defer cancel()
	c, err := h.lab.AssignmentChanges(ctx, h.id, since)
	return c, err == nil
}

// siteAt is an application on a with one port.
func siteAt(name string, port int) func(*cluster.Configuration) {
	return func(c *cluster.Configuration) {
		c.Applications[cluster.AppName(name)] = cluster.Application{Name: cluster.AppName(name), Image: "nginx", Node: "a",
			Ports: []cluster.Port{{Internal: 80, External: port}}}
	}
}

func TestANodeIsToldWhatChanged(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		for port := range 50 {
			l.configure(siteAt(fmt.Sprint("site", port), 8000+port))
		}
		a, b, c := l.host("a"), l.host("b"), l.host("c")
		for _, h := range []*host{a, b, c} {
			h.act()
		}
		since := map[*host]cluster.Revision{a: a.assignment().Revision, b: b.assignment().Revision, c: c.assignment().Revision}
		l.configure(siteAt("new", 7000))
		toB, _ := b.changes(since[b])
		if len(toB.Routes) != 1 || toB.Routes[0].External != 7000 || !toB.Same || len(toB.Nodes)+len(toB.Keys) != 0 {
			t.Fatalf("b, which it does not concern, is told %+v", toB)
		}
		toC, _ := c.changes(since[c])
		one, _ := toB.JSON()
		other, _ := toC.JSON()
		if &one[0] != &other[0] {
			t.Error("what all are told is encoded for each")
		}
		toA, _ := a.changes(since[a])
		if len(toA.Routes) != 1 || toA.Same || len(toA.Applications) != 51 || toA.Node != "a" {
			t.Errorf("a, which is to run it, is told %+v", toA)
		}
		if more, told := b.changes(toB.Revision); told {
			t.Errorf("nothing changed, and b is told %+v", more)
		}
		l.configure(func(c *cluster.Configuration) { delete(c.Applications, "new") })
		l.ok(l.Register(l.ctx, cluster.Node{ID: "d", Name: "d"}))
		l.ok(l.AddKey(l.ctx, "me", wire.KeyRequest{Key: edKey}))
		toB, _ = b.changes(toB.Revision)
		if len(toB.GoneRoutes) != 1 || len(toB.Routes) != 0 || len(toB.Nodes) != 1 || len(toB.Keys) != 1 {
			t.Errorf("b is told %+v", toB)
		}
	})
}

const edKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// TestWhoseAssignmentIsNotKnownIsToldAll: only who has the one that this life of the service gave it last is not.
func TestWhoseAssignmentIsNotKnownIsToldAll(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(siteAt("one", 8001))
		l.configure(siteAt("two", 8002))
		b := l.host("b")
		whole := func(why string, since cluster.Revision) cluster.Revision {
			t.Helper()
			got, told := b.changes(since)
			if !told || got.Since != 0 || got.Same || len(got.GoneRoutes) != 0 || len(got.Nodes) != 3 || got.Node != "b" {
				t.Errorf("%s: told %t, %+v", why, told, got)
			}
			return got.Revision
		}
		first := whole("who knows nothing", 0)
		l.configure(siteAt("three", 8003))
		second, _ := b.changes(first)
		if second.Since == 0 {
			t.Fatal("it is told all")
		}
		l.configure(siteAt("four", 8004))
		whole("who has the one before the last that was given", first)
		last := whole("who has one that was never given", second.Revision-1)
		whole("who has one that is to come", last+1)
		l.restart()
		b.report()
		again := whole("who has one of an earlier life of the service", last)
		if again <= last {
			t.Errorf("revision %d came after %d", again, last)
		}
		l.configure(siteAt("five", 8005))
		if next, _ := b.changes(again); next.Since == 0 || len(next.Routes) != 1 {
			t.Errorf("after that it is told %+v", next)
		}
	})
}

// TestChangesLeadToTheWhole: whatever is written, whoever is told the changes knows what there is.
func TestChangesLeadToTheWhole(t *testing.T) {
	for seed := range uint64(20) {
		inLab(t, func(t *testing.T, l *lab) {
			random := rand.New(rand.NewPCG(seed, 0))
			b := l.host("b")
			known := b.assignment()
			for step := range 60 {
				for range 1 + random.IntN(3) {
					name := fmt.Sprint("s", random.IntN(8))
					switch random.IntN(8) {
					case 0:
						l.configure(func(c *cluster.Configuration) { delete(c.Applications, cluster.AppName(name)) })
					case 1:
						id := cluster.NodeID(fmt.Sprint("n", random.IntN(4)))
						l.ok(l.Register(l.ctx, cluster.Node{ID: id, Name: string(id), Version: fmt.Sprint(random.IntN(3))}))
					case 2:
						l.ok(l.AddKey(l.ctx, "me", wire.KeyRequest{Key: edKey}))
					case 3:
						_ = l.RemoveKey(l.ctx, "me") // there may be none
					case 4:
						l.host("a").act()
					case 5: // what the store holds is in doubt, and is read again
						l.Service.writing.Lock()
						l.Service.doubt = true
						l.Service.writing.Unlock()
						l.configure(siteAt(name, 8000+int(name[1])))
					case 6:
						l.host("b").report()
					default:
						l.configure(siteAt(name, 8000+int(name[1])))
					}
				}
				if random.IntN(10) == 0 {
					l.restart()
					l.host("a").report()
					b.report()
				}
				changes, told := b.changes(known.Revision)
				if told {
					var err error
					if known, err = changes.Onto(known); err != nil {
						t.Fatalf("seed %d, step %d: %v", seed, step, err)
					}
				}
				l.mu.Lock()
				n := l.sessions["b"]
				l.derive(n)
				want := l.assignment(n)
				l.mu.Unlock()
				if diff := cmp.Diff(want, known, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("seed %d, step %d (-is +known)\n%s", seed, step, diff)
				}
			}
		})
	}
}

// TestNobodyReportsARouteThatChanged: that it is in force is said by the next poll.
func TestNobodyReportsARouteThatChanged(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(siteAt("one", 8001))
		for _, id := range []cluster.NodeID{"a", "b", "c", "a"} {
			h := l.host(id)
			h.act()
			h.state.Seen = h.assignment().Due() // as agents say it
			h.report()
		}
		l.host("a").state.Applications[0].Endpoints = map[int]string{80: "a:81"}
		l.host("a").report()
		if l.Status().Converged {
			t.Error("the new route is in force nowhere")
		}
		l.everyoneWakes()
		synctest.Wait()
		if s := l.Status(); !s.Converged {
			t.Errorf("all act on the routes, and %q", s.Pending)
		}
	})
}

// TestWhatAChangeCosts in bytes for each agent: with 1,000 nodes and 10,000 routes one route that changes is as much
// as with two. Whole it is what the cluster has.
func TestWhatAChangeCosts(t *testing.T) {
	const nodes, routes = 1000, 10_000
	svc, err := Open(t.Context(), mem.New(), Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	lead := func(port int, host string) {
		if _, err := svc.update(t.Context(), func(w *rules.Write) error {
			w.Routes.Put(cluster.Route{External: port, Application: cluster.AppName(fmt.Sprint("app", port)), Mode: cluster.Forward, Endpoint: host + ":32768"})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := svc.update(t.Context(), func(w *rules.Write) error {
		for i := range nodes {
			w.Nodes.Put(cluster.Node{ID: cluster.NodeID(fmt.Sprintf("f48139f3-d9bf-4ab0-b537-%012d", i)), Name: fmt.Sprint("node-", i), Era: "1",
				Address: fmt.Sprintf("10.0.%d.%d", i/256, i%256), GossipAddress: "10.0.0.1:7946", TransferAddress: "10.0.0.1:4525",
				TransferKey: edKey, Backend: "btrfs", Runtime: "docker", Version: "1"})
		}
		for i := range routes {
			w.Routes.Put(cluster.Route{External: 10_000 + i, Application: cluster.AppName(fmt.Sprint("app", i)), Mode: cluster.Forward, Endpoint: "10.0.0.1:32768"})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	agent := cluster.Node{ID: "agent", Name: "agent", Address: "10.1.0.1", Era: "1"}
	if err := svc.Register(t.Context(), agent); err != nil {
		t.Fatal(err)
	}
	if err := svc.Report(t.Context(), cluster.NodeState{Node: "agent", Era: "1"}); err != nil {
		t.Fatal(err)
	}
	known, err := svc.Assignment(t.Context(), "agent", 0)
	if err != nil {
		t.Fatal(err)
	}
	lead(10_500, "10.0.0.2")
	changes, err := svc.AssignmentChanges(t.Context(), "agent", known.Revision)
	if err != nil {
		t.Fatal(err)
	}
	told, err := changes.JSON()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := svc.Assignment(t.Context(), "agent", 0)
	if err != nil {
		t.Fatal(err)
	}
	all, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("one route of %d changes, with %d nodes: %d bytes for each agent; all of it is %d", routes, nodes, len(told), len(all))
	if len(told) > 400 || len(all) < 1<<20 {
		t.Errorf("a change is %d bytes, all is %d", len(told), len(all))
	}
	merged, err := changes.Onto(known)
	if diff := cmp.Diff(whole, merged, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v: (-whole +merged)\n%s", err, diff)
	}
}
