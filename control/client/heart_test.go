package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

// hearing is the real service, and says which heartbeats it takes in and how they came.
type hearing struct {
	*control.Service
	beats chan wire.Heartbeat
}

func (h hearing) Heartbeat(ctx context.Context, node cluster.NodeID, b wire.Heartbeat) error {
	err := h.Service.Heartbeat(ctx, node, b)
	if err == nil {
		h.beats <- b
	}
	return err
}

// listening is a service on an address of its own, which may be of an earlier version.
type listening struct {
	service hearing
	address string
	stop    func()

	mu          sync.Mutex
	connections int
}

// listen serves the real service; at an address, if one is given.
func listen(t *testing.T, certificates, address string, older bool) *listening {
	t.Helper()
	real, err := control.Open(t.Context(), mem.New(), control.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l := &listening{service: hearing{real, make(chan wire.Heartbeat, 100)}}
	h := api.Server(l.service, api.Options{Log: slog.New(slog.DiscardHandler)})
	if older {
		now := h.Handler
		h.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.Body != http.NoBody {
				t.Error("a service of an earlier version was sent the body of a poll")
			}
			now.ServeHTTP(&silent{w}, r)
		})
	}
	h.ConnState = func(_ net.Conn, state http.ConnState) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if state == http.StateNew {
			l.connections++
		}
	}
	config, err := pki.ServerTLS(certificates, pki.Control)
	if err != nil {
		t.Fatal(err)
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	l.address = listener.Addr().String()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.Serve(tls.NewListener(listener, config))
	}()
	l.stop = sync.OnceFunc(func() {
		h.Close()
		<-ended
	})
	t.Cleanup(l.stop)
	return l
}

// silent does not say that the service takes heartbeats in polls.
type silent struct{ http.ResponseWriter }

func (s *silent) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *silent) WriteHeader(status int) {
	s.Header().Del(wire.HeaderBeats)
	s.ResponseWriter.WriteHeader(status)
}

// certificates are those of a cluster and of NodeA.
func certificates(t *testing.T) (dir, node string) {
	t.Helper()
	dir, node = t.TempDir(), t.TempDir()
	authority, err := pki.Init(dir, "test", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.Node(node, apitest.NodeA); err != nil {
		t.Fatal(err)
	}
	return dir, node
}

// begin registers the node, reports and sends a heartbeat, and returns the revision of its first assignment.
func (l *listening) begin(t *testing.T, agent *client.Client) cluster.Revision {
	t.Helper()
	agent.WaitWithHeartbeats(100 * time.Millisecond)
	if err := agent.Register(t.Context(), cluster.Node{ID: apitest.NodeA, Name: "a", Address: "127.0.0.1", Era: "e"}); err != nil {
		t.Fatal(err)
	}
	if err := agent.Report(t.Context(), cluster.NodeState{Node: apitest.NodeA, Era: "e", Sequence: 1, Every: time.Second}); err != nil {
		t.Fatal(err)
	}
	if b := l.beat(t, agent); b.Polling {
		t.Errorf("before the first poll the heartbeat is %+v", b)
	}
	first, changed, err := agent.Assignment(t.Context(), apitest.NodeA, 0, 0)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	return first.Revision
}

// poll asks in the background, and returns what came of it.
func poll(t *testing.T, agent *client.Client, since cluster.Revision, wait time.Duration) <-chan error {
	t.Helper()
	answered := make(chan error, 1)
	go func() {
		_, _, err := agent.Assignment(t.Context(), apitest.NodeA, since, wait)
		answered <- err
	}()
	return answered
}

func (l *listening) beat(t *testing.T, agent *client.Client) wire.Heartbeat {
	t.Helper()
	if err := agent.Heartbeat(t.Context(), apitest.NodeA, wire.Heartbeat{Sequence: 1}); err != nil {
		t.Fatal(err)
	}
	select {
	case b := <-l.service.beats:
		return b
	case <-time.After(10 * time.Second):
		t.Fatal("the heartbeat did not arrive")
		panic("unreachable")
	}
}

func TestHeartbeatsGoWithThePoll(t *testing.T) {
	dir, node := certificates(t)
	l := listen(t, dir, "", false)
	agent := open(t, l.address, node, pki.Node)
	since := l.begin(t, agent)
	for range 3 { // polls that follow each other, on one connection
		answered := poll(t, agent, since, 300*time.Millisecond)
		for range 2 {
			if b := l.beat(t, agent); !b.Polling || b.Sequence != 1 {
				t.Errorf("the heartbeat is %+v, want it in the poll", b)
			}
		}
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	}
	// One that comes between two polls waits for the next.
	if err := agent.Heartbeat(t.Context(), apitest.NodeA, wire.Heartbeat{Sequence: 1}); err != nil {
		t.Fatal(err)
	}
	answered := poll(t, agent, since, time.Minute)
	if b := <-l.service.beats; !b.Polling {
		t.Errorf("the heartbeat is %+v, want it in the poll", b)
	}
	// What changed is told at once.
	if _, err := l.service.Edit(t.Context(), func(c *cluster.Configuration) error {
		c.Applications["site"] = cluster.Application{Name: "site", Image: "nginx", Node: apitest.NodeA}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Version(t.Context()); err != nil {
		t.Errorf("the connection after that: %v", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.connections != 1 {
		t.Errorf("it took %d connections, want one", l.connections)
	}
}

func TestHeartbeatsGoAloneToAnEarlierVersion(t *testing.T) {
	dir, node := certificates(t)
	l := listen(t, dir, "", true)
	agent := open(t, l.address, node, pki.Node)
	answered := poll(t, agent, l.begin(t, agent), 300*time.Millisecond)
	if b := l.beat(t, agent); b.Polling {
		t.Errorf("the heartbeat is %+v, want it alone", b)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
}

// TestARefusedHeartbeatEndsThePoll, and the next ones are tried alone until a poll has been answered.
func TestARefusedHeartbeatEndsThePoll(t *testing.T) {
	dir, node := certificates(t)
	l := listen(t, dir, "", false)
	agent := open(t, l.address, node, pki.Node)
	answered := poll(t, agent, l.begin(t, agent), time.Minute)
	if err := agent.Heartbeat(t.Context(), apitest.NodeA, wire.Heartbeat{Sequence: 7}); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; !errors.Is(err, cluster.ErrStale) {
		t.Errorf("after a heartbeat of a report that is not known: %v, want ErrStale", err)
	}
	if err := agent.Heartbeat(t.Context(), apitest.NodeA, wire.Heartbeat{Sequence: 7}); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("alone: %v, want ErrStale", err)
	}
	if b := l.beat(t, agent); b.Polling {
		t.Error("it went with a poll that had ended")
	}
}

// TestAServiceThatStartsAgainIsToldAnew, whichever version it then is.
func TestAServiceThatStartsAgainIsToldAnew(t *testing.T) {
	dir, node := certificates(t)
	l := listen(t, dir, "", false)
	agent := open(t, l.address, node, pki.Node)
	answered := poll(t, agent, l.begin(t, agent), time.Minute)
	l.beat(t, agent)
	l.stop()
	if err := <-answered; !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a poll that was cut: %v, want ErrUnavailable", err)
	}
	if err := agent.Heartbeat(t.Context(), apitest.NodeA, wire.Heartbeat{Sequence: 1}); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a heartbeat to nobody: %v, want ErrUnavailable", err)
	}
	again := listen(t, dir, l.address, true)
	answered = poll(t, agent, again.begin(t, agent), 300*time.Millisecond)
	if b := again.beat(t, agent); b.Polling {
		t.Errorf("the heartbeat is %+v, want it alone", b)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
}

// TestASilentBodyIsSilence: that a poll could bring heartbeats says nothing.
func TestASilentBodyIsSilence(t *testing.T) {
	dir, node := certificates(t)
	l := listen(t, dir, "", false)
	agent := open(t, l.address, node, pki.Node)
	since := l.begin(t, agent)
	heard := func() time.Time { return l.service.Nodes()[0].Heard }
	before := heard()
	if err := <-poll(t, agent, since, time.Second); err != nil {
		t.Fatal(err)
	}
	if after := heard(); after.Sub(before).Abs() > 500*time.Millisecond {
		t.Errorf("it was heard of at %s, and after a poll without a heartbeat at %s", before, after)
	}
	answered := poll(t, agent, since, time.Minute)
	l.beat(t, agent)
	if after := heard(); after.Sub(before) < 100*time.Millisecond {
		t.Errorf("it was heard of at %s, and after a heartbeat at %s", before, after)
	}
	agent.Close()
	if _, err := l.service.Edit(t.Context(), func(c *cluster.Configuration) error {
		c.Applications["site"] = cluster.Application{Name: "site", Image: "nginx", Node: apitest.NodeA}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
}

// TestAWaitMayTakeLongerThanAClientMay: what bounds how long a client may take to read does not bound the wait.
func TestAWaitMayTakeLongerThanAClientMay(t *testing.T) {
	service := apitest.NewService()
	server := apitest.Serve(t, service, api.Options{Patience: time.Second})
	agent := open(t, server.Address, server.NodeCertificates(apitest.NodeA), pki.Node)
	agent.WaitWithHeartbeats(time.Second)
	service.Set(func(w *apitest.World) { w.Assignment.Revision = 7 })
	if err := agent.Heartbeat(t.Context(), apitest.NodeA, wire.Heartbeat{}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // without heartbeats, and with
		if _, changed, err := agent.Assignment(t.Context(), apitest.NodeA, 7, 1500*time.Millisecond); changed || err != nil {
			t.Errorf("nothing changed, but: %t, %v", changed, err)
		}
	}
}

// TestWhoSendsNoHeartbeatsPollsAsItAsks: a gateway, say, is known to be there by its polls.
func TestWhoSendsNoHeartbeatsPollsAsItAsks(t *testing.T) {
	f := newFixture(t)
	f.node.WaitWithHeartbeats(10 * time.Minute)
	f.service.Set(func(w *apitest.World) { w.Assignment.Revision = 7 })
	for range 3 {
		if _, changed, err := f.node.Assignment(t.Context(), apitest.NodeA, 7, 10*time.Millisecond); changed || err != nil {
			t.Errorf("nothing changed, but: %t, %v", changed, err)
		}
	}
}

// TestAPollEndsWithItsConnection, and with its caller, though no heartbeat is there to be written.
func TestAPollEndsWithItsConnection(t *testing.T) {
	dir, node := certificates(t)
	l := listen(t, dir, "", false)
	agent := open(t, l.address, node, pki.Node)
	since := l.begin(t, agent)
	agent.WaitWithHeartbeats(time.Hour)
	ended := func(what string, answered <-chan error) error {
		t.Helper()
		select {
		case err := <-answered:
			return err
		case <-time.After(time.Minute):
			t.Fatalf("%s, and the poll goes on", what)
			panic("unreachable")
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := agent.Assignment(ctx, apitest.NodeA, since, time.Hour)
		left <- err
	}()
	if b := l.beat(t, agent); !b.Polling {
		t.Fatal("the heartbeat did not go with the poll")
	}
	leave()
	if err := ended("its caller has left", left); !errors.Is(err, context.Canceled) {
		t.Errorf("its caller has left: %v", err)
	}
	if _, _, err := agent.Assignment(t.Context(), apitest.NodeA, since, 0); err != nil {
		t.Fatal(err)
	}
	answered := poll(t, agent, since, time.Hour)
	if b := l.beat(t, agent); !b.Polling {
		t.Fatal("the heartbeat did not go with the poll")
	}
	l.stop()
	if err := ended("the service has ended", answered); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("the service has ended: %v", err)
	}
}

// TestHeartbeatsAreAcknowledged, or their connection is given up; other requests have all the time that they want.
func TestHeartbeatsAreAcknowledged(t *testing.T) {
	dir, node := certificates(t)
	l := listen(t, dir, "", false)
	config, err := pki.ClientTLS(node, pki.Node)
	if err != nil {
		t.Fatal(err)
	}
	var conn *net.TCPConn
	agent := client.New(client.Options{Address: l.address, TLS: config, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		conn, _ = c.(*net.TCPConn)
		return c, err
	}})
	defer agent.Close()
	limit := func() (ms int) {
		raw, err := conn.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { ms, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) })
		}
		if err != nil {
			t.Fatal(err)
		}
		return ms
	}
	answered := poll(t, agent, l.begin(t, agent), time.Second)
	if b := l.beat(t, agent); !b.Polling || limit() != 15000 {
		t.Errorf("the heartbeat is %+v, and may go unacknowledged for %d ms, want 15000", b, limit())
	}
	if err := <-answered; err != nil || limit() != 0 {
		t.Errorf("the poll is over (%v), and what is sent may go unacknowledged for %d ms, want 0: no limit", err, limit())
	}
}
