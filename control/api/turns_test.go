package api_test

import (
	"io"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

// A busy service works for a while on each list of nodes.
type busy struct {
	*apitest.Service
	now atomic.Int32
}

func (b *busy) Nodes() []wire.NodeStatus {
	b.now.Add(1)
	defer b.now.Add(-1)
	time.Sleep(time.Second)
	return b.Service.Nodes()
}

// many makes that many calls at once and returns their answers.
func (f *fixture) many(n int, cn, path string) <-chan *httptest.ResponseRecorder {
	answers := make(chan *httptest.ResponseRecorder, n)
	for range n {
		go func() { answers <- f.do(cn, "GET", path, "") }()
	}
	return answers
}

// TestNobodyKeepsOthersFromTheService: neither by work nor by waiting, and what waits takes up no work.
func TestNobodyKeepsOthersFromTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, api.Options{})
		service := &busy{Service: f.service}
		f.handler = api.New(service, api.Options{})
		began := time.Now()

		rounds := min(4, 128/api.MostWorking)
		mine := f.many(rounds*api.MostWorking, user, "/v1/nodes")
		synctest.Wait()
		if n := service.now.Load(); int(n) != api.MostWorking {
			t.Errorf("%d calls of one client are worked on at once", n)
		}
		want(t, f.do(nodeA, "GET", "/v1/nodes", ""), 200, "")
		if took := time.Since(began); took != time.Second {
			t.Errorf("another client is answered after %s", took)
		}
		for range rounds * api.MostWorking {
			want(t, <-mine, 200, "")
		}
		if took := time.Since(began); took != time.Duration(rounds)*time.Second {
			t.Errorf("all took %s, want %d times what one takes", took, rounds)
		}

		waiting := f.many(128, user, "/v1/events?wait=50s")
		synctest.Wait()
		want(t, f.do(user, "GET", "/v1/moves", ""), 503, "")
		want(t, f.do(nodeA, "GET", "/v1/moves", ""), 200, "")
		for range 128 {
			want(t, <-waiting, 200, "[]")
		}

		waiting = f.many(100, user, "/v1/events?wait=50s")
		synctest.Wait()
		want(t, f.do(user, "GET", "/v1/moves", ""), 200, "[]")
		for range 100 {
			want(t, <-waiting, 200, "[]")
		}

		// What waits for its turn does not wait for ever.
		mine = f.many(128, user, "/v1/nodes")
		refused := 0
		for range 128 {
			if (<-mine).Code == 503 {
				refused++
			}
		}
		if most := max(0, 128-10*api.MostWorking); refused > most || refused < most-api.MostWorking {
			t.Errorf("%d were refused, want about %d", refused, most)
		}
		want(t, f.do(user, "GET", "/v1/moves", ""), 200, "[]")
	})
}

// TestASlowBodyKeepsNobodyWaiting: it is waited for, and not worked on.
func TestASlowBodyKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, api.Options{})
		began := time.Now()
		answers := make(chan *httptest.ResponseRecorder, 2*api.MostWorking)
		var bodies []*io.PipeWriter
		for range cap(answers) {
			body, sent := io.Pipe()
			bodies = append(bodies, sent)
			go func() { answers <- f.send(user, "POST", "/v1/moves", body) }()
		}
		synctest.Wait()
		want(t, f.do(user, "GET", "/v1/moves", ""), 200, "[]")
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
		for _, sent := range bodies {
			io.WriteString(sent, "{}")
			sent.Close()
			want(t, <-answers, 201, "")
		}
	})
}
