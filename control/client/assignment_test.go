package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

// older is a control service of an earlier version: it does not know of changes.
type older struct{ *control.Service }

func (o older) AssignmentChanges(ctx context.Context, node cluster.NodeID, since cluster.Revision) (wire.AssignmentChanges, error) {
	assignment, err := o.Assignment(ctx, node, since)
	return wire.AssignmentChanges{Assignment: assignment}, err
}

// asking notes how the service is asked, and what for.
type asking struct {
	api.Service
	whole, changes int
	sent           wire.AssignmentChanges
}

func (a *asking) Assignment(ctx context.Context, node cluster.NodeID, since cluster.Revision) (cluster.Assignment, error) {
	a.whole++
	return a.Service.Assignment(ctx, node, since)
}

func (a *asking) AssignmentChanges(ctx context.Context, node cluster.NodeID, since cluster.Revision) (c wire.AssignmentChanges, err error) {
	a.changes++
	a.sent, err = a.Service.AssignmentChanges(ctx, node, since)
	return a.sent, err
}

// TestAnAgentKnowsAllAndIsSentWhatChanged, whichever of the two is of an earlier version.
func TestAnAgentKnowsAllAndIsSentWhatChanged(t *testing.T) {
	for _, row := range []struct {
		rule    string
		service func(*control.Service) api.Service
		sent    bool // changes are
	}{
		{"both know of changes", func(s *control.Service) api.Service { return s }, true},
		{"the service does not", func(s *control.Service) api.Service { return older{s} }, false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			real, err := control.Open(t.Context(), mem.New(), control.Options{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			asked := &asking{Service: row.service(real)}
			server := apitest.Serve(t, asked, api.Options{})
			agent := open(t, server.Address, server.NodeCertificates(apitest.NodeA), pki.Node)
			if err := agent.Register(t.Context(), cluster.Node{ID: apitest.NodeA, Name: "a", Address: "127.0.0.1", Era: "e"}); err != nil {
				t.Fatal(err)
			}
			if err := agent.Report(t.Context(), cluster.NodeState{Node: apitest.NodeA, Era: "e"}); err != nil {
				t.Fatal(err)
			}
			route := func(name cluster.AppName, port int) {
				t.Helper()
				if _, err := real.Edit(t.Context(), func(c *cluster.Configuration) error {
					c.Applications[name] = cluster.Application{Name: name, Image: "nginx", Node: apitest.NodeA, Ports: []cluster.Port{{Internal: 80, External: port}}}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			next := func(c *client.Client, since cluster.Revision, routes int) cluster.Assignment {
				t.Helper()
				got, changed, err := c.Assignment(t.Context(), apitest.NodeA, since, time.Minute)
				if err != nil || !changed || got.Node != apitest.NodeA || len(got.Routes) != routes || len(got.Applications) != routes || len(got.Nodes) != 1 {
					t.Fatalf("%v, changed: %t, told %+v", err, changed, got)
				}
				return got
			}
			route("one", 8001)
			route("two", 8002)
			first := next(agent, 0, 2)
			if asked.whole != 1 || asked.changes != 0 {
				t.Errorf("at first it asked %d times for all, %d for changes", asked.whole, asked.changes)
			}
			route("three", 8003)
			asked.whole = 0
			second := next(agent, first.Revision, 3)
			if asked.changes != 1 || asked.whole != 0 || row.sent != (asked.sent.Since != 0 && len(asked.sent.Routes) == 1) {
				t.Errorf("it asked %d times for all, %d for changes, and was sent %+v", asked.whole, asked.changes, asked.sent)
			}
			if len(first.Routes) != 2 {
				t.Error("what it was told before was changed")
			}
			asked.changes = 0
			third := next(agent, first.Revision, 3) // which it does not have any more
			if third.Revision != second.Revision || asked.changes != 0 {
				t.Errorf("who does not know what it was told asked for changes; revision %d", third.Revision)
			}
		})
	}
}

// TestARestartCostsLittle: an agent that has the routes, nodes and keys from an earlier life of the service is told
// its own part alone, unless one of them has changed.
func TestARestartCostsLittle(t *testing.T) {
	store := mem.New()
	start := func() *control.Service {
		t.Helper()
		service, err := control.Open(t.Context(), store, control.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return service
	}
	service := &lives{start()}
	server := apitest.Serve(t, service, api.Options{})
	received := new(atomic.Int64)
	config, err := pki.ClientTLS(server.NodeCertificates(apitest.NodeA), pki.Node)
	if err != nil {
		t.Fatal(err)
	}
	sites := func(to int) {
		t.Helper()
		if _, err := service.Edit(t.Context(), func(c *cluster.Configuration) error {
			for i := range to {
				name := cluster.AppName(fmt.Sprint("site", i))
				c.Applications[name] = cluster.Application{Name: name, Image: "nginx", Node: apitest.NodeB, Ports: []cluster.Port{{Internal: 80, External: 8000 + i}}}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	agent := client.New(client.Options{Address: server.Address, TLS: config, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return counting{c, received}, err
	}})
	defer agent.Close()
	ask := func(routes int) int64 {
		t.Helper()
		if err := agent.Register(t.Context(), cluster.Node{ID: apitest.NodeA, Name: "a", Address: "127.0.0.1", Era: "e"}); err != nil {
			t.Fatal(err)
		}
		if err := agent.Report(t.Context(), cluster.NodeState{Node: apitest.NodeA, Era: "e"}); err != nil {
			t.Fatal(err)
		}
		before := received.Load()
		got, changed, err := agent.Assignment(t.Context(), apitest.NodeA, 0, time.Minute)
		if err != nil || !changed || len(got.Routes) != routes || len(got.Nodes) != 2 || got.Node != apitest.NodeA || got.Revision == 0 {
			t.Fatalf("%v, changed: %t, told of %d routes", err, changed, len(got.Routes))
		}
		return received.Load() - before
	}
	if err := service.Register(t.Context(), cluster.Node{ID: apitest.NodeB, Name: "b", Address: "127.0.0.2"}); err != nil {
		t.Fatal(err)
	}
	sites(500)
	whole := ask(500)
	if again := ask(500); again > whole/10 {
		t.Errorf("all of it took %d bytes, and none of it %d", whole, again)
	}
	store = store.Reopen()
	service.Service = start()
	if again := ask(500); again > whole/10 {
		t.Errorf("all of it took %d bytes, and after a restart, which changed nothing, %d", whole, again)
	}
	sites(501)
	if again := ask(501); again < whole/2 {
		t.Errorf("a route is new, and the answer has %d bytes", again)
	}
}

// lives is a service that starts again behind one address.
type lives struct{ *control.Service }

type counting struct {
	net.Conn
	received *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}

// TestAnAgentOfAnEarlierVersionIsToldAll: it does not say that it knows of changes.
func TestAnAgentOfAnEarlierVersionIsToldAll(t *testing.T) {
	service, err := control.Open(t.Context(), mem.New(), control.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := apitest.Serve(t, service, api.Options{})
	if err := service.Register(t.Context(), cluster.Node{ID: apitest.NodeA, Name: "a", Address: "127.0.0.1", Era: "e"}); err != nil {
		t.Fatal(err)
	}
	if err := service.Report(t.Context(), cluster.NodeState{Node: apitest.NodeA, Era: "e"}); err != nil {
		t.Fatal(err)
	}
	var since cluster.Revision
	for routes := range 3 {
		if _, err := service.Edit(t.Context(), func(c *cluster.Configuration) error {
			name := cluster.AppName(fmt.Sprint("site", routes))
			c.Applications[name] = cluster.Application{Name: name, Image: "nginx", Node: apitest.NodeA, Ports: []cluster.Port{{Internal: 80, External: 8000 + routes}}}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		told := plainly(t, server, since)
		if len(told.Routes) != routes+1 || len(told.Applications) != routes+1 || len(told.Nodes) != 1 || told.Node != apitest.NodeA {
			t.Errorf("it is told %+v", told)
		}
		since = told.Revision
	}
}

// plainly asks as such an agent does.
func plainly(t *testing.T, server *apitest.Server, since cluster.Revision) cluster.Assignment {
	t.Helper()
	config, err := pki.ClientTLS(server.NodeCertificates(apitest.NodeA), pki.Node)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("https://" + server.Address + "/v1/nodes/" + string(apitest.NodeA) + fmt.Sprintf("/slice?since=%d&wait=10s", since))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.Header.Get("Content-Type") != "application/json" {
		t.Fatal(err, response.Header)
	}
	var assignment cluster.Assignment
	if err := json.Unmarshal(text, &assignment); err != nil {
		t.Fatal(err)
	}
	return assignment
}
