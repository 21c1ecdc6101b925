package membership_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/membership"
)

// A net under test: members a, b, c at addresses that nobody else uses.
type gossip struct {
	t     *testing.T
	where map[cluster.NodeID]string
}

func newGossip(t *testing.T) *gossip {
	g := &gossip{t: t, where: map[cluster.NodeID]string{}}
	network := fmt.Sprintf("127.%d.%d", 16+rand.IntN(200), rand.IntN(256))
	for n, id := range []cluster.NodeID{"a", "b", "c"} {
		g.where[id] = net.JoinHostPort(fmt.Sprintf("%s.%d", network, n+1), "7946")
	}
	return g
}

var key = []byte("0123456789abcdef0123456789abcdef")

func (g *gossip) start(id cluster.NodeID, key []byte) *membership.Membership {
	g.t.Helper()
	m, err := membership.Start(membership.Options{ID: id, Bind: g.where[id], Key: key, Rejoin: 200 * time.Millisecond})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { g.leave(m) })
	peers := maps.Clone(g.where)
	delete(peers, id)
	m.SetPeers(peers)
	return m
}

func (g *gossip) leave(m *membership.Membership) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	m.Leave(ctx)
}

// misses waits until m sees all but these.
func (g *gossip) misses(m *membership.Membership, want ...cluster.NodeID) {
	g.t.Helper()
	deadline := time.After(time.Minute)
	for !slices.Equal(m.Missing(), want) {
		select {
		case <-m.Changed():
		case <-deadline:
			g.t.Fatalf("misses %v, want %v", m.Missing(), want)
		}
	}
	if m.Missing() == nil {
		g.t.Fatal("it says nothing")
	}
}

func TestMembers(t *testing.T) {
	g := newGossip(t)
	a, b := g.start("a", key), g.start("b", key)
	c := g.start("c", key)
	g.misses(a)
	g.misses(b)
	g.misses(c)

	g.leave(c)
	g.misses(a, "c")

	// It comes back where it was, and is found again.
	g.start("c", key)
	g.misses(a)
}

func TestAnotherKeyIsKeptOut(t *testing.T) {
	g := newGossip(t)
	a := g.start("a", key)
	stranger := g.start("b", []byte("another key, as long as it must."))
	friend := g.start("c", key)
	g.misses(a, "b")
	g.misses(friend, "b")
	g.misses(stranger, "a", "c")
}

func TestWithoutAKeyNobodyTakesPart(t *testing.T) {
	if _, err := membership.Start(membership.Options{ID: "a", Bind: "127.0.0.1:0"}); err == nil {
		t.Error("it started")
	}
}

// TestAnotherHostUnderOnesNameIsNoticed by the one and by the other, whoever came first; and another process on
// the same host.
func TestAnotherHostUnderOnesNameIsNoticed(t *testing.T) {
	for _, elsewhere := range []func(g *gossip) string{
		func(g *gossip) string { return g.where["c"] },
		func(g *gossip) string { return strings.Replace(g.where["a"], ":7946", ":7947", 1) },
	} {
		g := newGossip(t)
		a, b := g.start("a", key), g.start("b", key)
		g.misses(a, "c")
		if rival := a.Rival() + b.Rival(); rival != "" {
			t.Errorf("without another one: %s", rival)
		}
		at := g.where["a"]
		g.where["a"] = elsewhere(g)
		clone := g.start("a", key)
		for deadline := time.Now().Add(time.Minute); clone.Rival() != at; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the clone knows of %q, want %s", clone.Rival(), at)
			}
		}
		if rival := b.Rival(); rival != "" {
			t.Errorf("b takes %s for another b", rival)
		}
	}
}
