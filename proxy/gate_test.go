package proxy

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
)

const (
	here  = "10.0.0.1:5432"
	there = "10.0.0.2:5432"
)

func forwardTo(endpoint string) cluster.Route {
	return cluster.Route{External: 5432, Application: "db", Mode: cluster.Forward, Endpoint: endpoint}
}

func holdFor(move cluster.MoveID, endpoint string) cluster.Route {
	return cluster.Route{External: 5432, Application: "db", Mode: cluster.Hold, Endpoint: endpoint, Move: move}
}

func TestGate(t *testing.T) {
	type step struct {
		after time.Duration
		route cluster.Route // the zero route closes
	}
	const patience = 30 * time.Second
	for _, tt := range []struct {
		name         string
		steps        []step
		after        time.Duration // the last step
		wantPhase    Phase
		wantEndpoint string
	}{
		{"is closed before it is moved", nil, 0, Closed, ""},
		{"a route that forwards opens it", []step{{0, forwardTo(here)}}, 0, Open, here},
		{"a route that holds holds it", []step{{0, holdFor("m1", here)}}, patience - 1, Held, here},
		{"a hold lets go by itself, to the last endpoint known", []step{{0, holdFor("m1", here)}}, patience + 1, Open, here},
		{"a hold without an endpoint lets go to none", []step{{0, holdFor("m1", "")}}, patience + 1, Open, ""},
		{"a hold heard of again keeps its deadline",
			[]step{{0, holdFor("m1", here)}, {20 * time.Second, holdFor("m1", here)}}, 10*time.Second + 1, Open, here},
		{"a hold that was let go stays so",
			[]step{{0, holdFor("m1", here)}, {patience + 1, holdFor("m1", here)}}, time.Second, Open, here},
		{"a hold that was let go follows its endpoint",
			[]step{{0, holdFor("m1", here)}, {patience + 1, holdFor("m1", there)}}, 0, Open, there},
		{"a hold follows its endpoint and keeps its deadline",
			[]step{{0, holdFor("m1", here)}, {20 * time.Second, holdFor("m1", there)}}, 10*time.Second + 1, Open, there},
		{"another move has its own deadline",
			[]step{{0, holdFor("m1", here)}, {20 * time.Second, holdFor("m2", here)}}, patience - 1, Held, here},
		{"another move holds what was let go",
			[]step{{0, holdFor("m1", here)}, {patience + 1, holdFor("m2", here)}}, 0, Held, here},
		{"a second attempt of a move has its own deadline",
			[]step{{0, holdFor("m1", here)}, {20 * time.Second, forwardTo(here)}, {0, holdFor("m1", here)}}, patience - 1, Held, here},
		{"a release leads to the new endpoint", []step{{0, holdFor("m1", here)}, {0, forwardTo(there)}}, patience + 1, Open, there},
		{"once closed it stays so", []step{{0, holdFor("m1", here)}, {0, cluster.Route{}}}, patience + 1, Closed, ""},
		{"once closed it can be opened", []step{{0, forwardTo(here)}, {0, cluster.Route{}}, {0, forwardTo(there)}}, 0, Open, there},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := Gate{Patience: patience}
				defer g.Close()
				for _, s := range tt.steps {
					time.Sleep(s.after)
					if s.route == (cluster.Route{}) {
						g.Close()
						continue
					}
					g.Follow(s.route)
				}
				time.Sleep(tt.after)
				synctest.Wait()
				if v := g.Look(); v.Phase != tt.wantPhase || v.Endpoint != tt.wantEndpoint {
					t.Errorf("the gate is %s to %q, want %s to %q", v.Phase, v.Endpoint, tt.wantPhase, tt.wantEndpoint)
				}
			})
		})
	}
}

func TestGatePatienceByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		g.Follow(holdFor("m1", here))
		started := time.Now()
		<-g.Look().Moved
		if waited := time.Since(started); waited != DefaultPatience {
			t.Errorf("the hold let go after %s, want %s", waited, DefaultPatience)
		}
	})
}

func TestGateSaysThatItLetGo(t *testing.T) {
	for _, tt := range []struct {
		name    string
		release bool
		want    []cluster.MoveID
	}{
		{"of a hold that outlasted its patience", false, []cluster.MoveID{"m1"}},
		{"but not of one that was released", true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []cluster.MoveID
				g := Gate{LetGo: func(m cluster.MoveID) { got = append(got, m) }}
				g.Follow(holdFor("m1", here))
				if tt.release {
					g.Follow(forwardTo(there))
				}
				time.Sleep(2 * DefaultPatience)
				synctest.Wait()
				if len(got) != len(tt.want) || (len(got) > 0 && got[0] != tt.want[0]) {
					t.Errorf("it let go of %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestGateFreesAllWaitersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		g.Follow(holdFor("m1", here))
		started := time.Now()
		var waiters sync.WaitGroup
		for range 1000 {
			waiters.Go(func() {
				<-g.Look().Moved
				if v := g.Look(); v.Phase != Open || v.Endpoint != there {
					t.Errorf("a waiter woke to a gate %s to %q", v.Phase, v.Endpoint)
				}
			})
		}
		synctest.Wait()
		time.Sleep(time.Second)
		g.Follow(forwardTo(there))
		waiters.Wait()
		if took := time.Since(started); took != time.Second {
			t.Errorf("the last waiter was free after %s, want 1s", took)
		}
	})
}

func TestGateDoesNotWakeForNothing(t *testing.T) {
	var g Gate
	g.Follow(forwardTo(here))
	moved := g.Look().Moved
	again := forwardTo(here)
	again.Epoch = 7
	g.Follow(again)
	select {
	case <-moved:
		t.Error("waiters were woken though phase and endpoint are the same")
	default:
	}
	g.Follow(forwardTo(there))
	select {
	case <-moved:
	default:
		t.Error("waiters were not woken by a new endpoint")
	}
}

func TestPhaseString(t *testing.T) {
	for phase, want := range map[Phase]string{Open: "open", Held: "held", Closed: "closed"} {
		if got := phase.String(); got != want {
			t.Errorf("phase %d is called %q, want %q", phase, got, want)
		}
	}
}
