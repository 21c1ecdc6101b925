package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/internal/pki"
)

// A logFixture is the real service with application web on node a.
type logFixture struct {
	t           *testing.T
	server      *apitest.Server
	user, agent *client.Client
}

func newLogFixture(t *testing.T) logFixture {
	t.Helper()
	service, err := control.Open(t.Context(), mem.New(), control.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := apitest.Serve(t, service, api.Options{})
	f := logFixture{t, server, open(t, server.Address, server.Certificates, pki.User),
		open(t, server.Address, server.NodeCertificates(apitest.NodeA), pki.Node)}
	if err := f.agent.Register(t.Context(), cluster.Node{ID: apitest.NodeA, Name: "a", Address: "127.0.0.1", Era: "e"}); err != nil {
		t.Fatal(err)
	}
	if err := f.agent.Report(t.Context(), cluster.NodeState{Node: apitest.NodeA, Era: "e"}); err != nil {
		t.Fatal(err)
	}
	next := cluster.Configuration{}.Clone()
	next.Applications["web"] = cluster.Application{Name: "web", Image: "nginx", Node: apitest.NodeA}
	if _, err := f.user.Configure(t.Context(), 0, next); err != nil {
		t.Fatal(err)
	}
	return f
}

// answer has the agent answer the next request with output; its result arrives in the channel.
func (f logFixture) answer(ctx context.Context, output io.ReadCloser) <-chan error {
	ended := make(chan error, 1)
	go func() {
		var since cluster.Revision
		for {
			assignment, changed, err := f.agent.Assignment(ctx, apitest.NodeA, since, time.Minute)
			if err != nil {
				ended <- err
				return
			}
			if changed {
				since = assignment.Revision
			}
			if len(assignment.Logs) > 0 {
				ended <- f.agent.AnswerLogs(ctx, apitest.NodeA, assignment.Logs[0].ID, output)
				return
			}
		}
	}()
	return ended
}

// follow returns the output of web, from node a.
func (f logFixture) follow(ctx context.Context) io.ReadCloser {
	f.t.Helper()
	node, output, err := f.user.Logs(ctx, "web", true)
	if err != nil || node != "a" {
		f.t.Fatalf("logs from %q: %v", node, err)
	}
	f.t.Cleanup(func() { output.Close() })
	return output
}

func TestLogsArriveAsTheyAreWritten(t *testing.T) {
	f := newLogFixture(t)
	from, to := io.Pipe()
	ended := f.answer(t.Context(), from)
	lines := bufio.NewReader(f.follow(t.Context()))
	for i := range 3 {
		fmt.Fprintf(to, "line %d\n", i) // nothing follows until this one has arrived
		if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("line %d\n", i) {
			t.Fatalf("read %q, %v", line, err)
		}
	}
	long := strings.Repeat("x", 1<<20)
	go func() { io.WriteString(to, long); to.Close() }()
	if rest, err := io.ReadAll(lines); err != nil || string(rest) != long {
		t.Errorf("read %d bytes, %v; want %d", len(rest), err, len(long))
	}
	if err := <-ended; err != nil {
		t.Errorf("the answer ended with %v", err)
	}
}

func TestTheErrorOfTheNodeArrives(t *testing.T) {
	f := newLogFixture(t)
	from, to := io.Pipe()
	ended := f.answer(t.Context(), from)
	output := f.follow(t.Context())
	go func() {
		io.WriteString(to, "one\n")
		to.CloseWithError(fmt.Errorf("web on a: %w: 50%% of it\nis gone", cluster.ErrNotFound))
	}()
	text, err := io.ReadAll(output)
	if string(text) != "one\n" || !errors.Is(err, cluster.ErrNotFound) || !strings.Contains(err.Error(), "50% of it\nis gone") {
		t.Errorf("read %q, %v", text, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the answer ended with %v", err)
	}
}

func TestANodeThatBreaksOffIsNoEnd(t *testing.T) {
	f := newLogFixture(t)
	from, to := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := f.answer(ctx, from)
	lines := bufio.NewReader(f.follow(t.Context()))
	io.WriteString(to, "one\n")
	if line, err := lines.ReadString('\n'); err != nil {
		t.Fatalf("read %q, %v", line, err)
	}
	cancel()
	text, err := io.ReadAll(lines)
	if len(text) != 0 || !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(err.Error(), "the node broke off") {
		t.Errorf("read %q, %v", text, err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the answer ended with %v", err)
	}
}

// unheard is a context that has ended, of which whoever waits for that is not told: the service's answer
// always comes first.
type unheard struct{ context.Context }

func (unheard) Done() <-chan struct{} { return nil }
func (unheard) Err() error            { return context.Canceled }

// TestANodeThatBrokeOffIsToldSo: whatever comes first, the end of its context or the service's answer.
func TestANodeThatBrokeOffIsToldSo(t *testing.T) {
	f := newLogFixture(t)
	from, to := io.Pipe()
	reading := make(chan error, 1)
	go func() {
		_, output, err := f.user.Logs(t.Context(), "web", true)
		if err == nil {
			_, err = io.ReadAll(output)
			output.Close()
		}
		reading <- err
	}()
	var asked []cluster.LogRequest
	for since := cluster.Revision(0); len(asked) == 0; {
		assignment, changed, err := f.agent.Assignment(t.Context(), apitest.NodeA, since, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if changed {
			since, asked = assignment.Revision, assignment.Logs
		}
	}
	to.Close()
	if err := f.agent.AnswerLogs(unheard{t.Context()}, apitest.NodeA, asked[0].ID, from); !errors.Is(err, context.Canceled) {
		t.Errorf("the answer ended with %v", err)
	}
	if err := <-reading; !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(err.Error(), "the node broke off") {
		t.Errorf("read %v", err)
	}
}

func TestAUserWhoGoesFreesTheNode(t *testing.T) {
	f := newLogFixture(t)
	for rule, leave := range map[string]func(io.Closer, context.CancelFunc){
		"closed":    func(output io.Closer, _ context.CancelFunc) { output.Close() },
		"cancelled": func(_ io.Closer, cancel context.CancelFunc) { cancel() },
	} {
		from, to := io.Pipe() // silent: nothing but the user's going can end the answer
		ended := f.answer(t.Context(), from)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		output := f.follow(ctx)
		leave(output, cancel)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s: the answer ended with %v", rule, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the node sends on", rule)
		}
		to.Close()
		if rule == "cancelled" {
			if _, err := io.ReadAll(output); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: read %v", err)
			}
		}
	}
}

func TestAnAnswerThatNobodyAskedForIsRefusedAtOnce(t *testing.T) {
	f := newLogFixture(t)
	from, to := io.Pipe()
	defer to.Close()
	if err := f.agent.AnswerLogs(t.Context(), apitest.NodeA, "nobody", from); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if err := f.agent.AnswerLogs(t.Context(), apitest.NodeB, "nobody", io.NopCloser(strings.NewReader(""))); !errors.Is(err, cluster.ErrForbidden) {
		t.Errorf("for another node: %v, want ErrForbidden", err)
	}
	if _, _, err := f.user.Logs(t.Context(), "ghost", false); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("of no application: %v, want ErrNotFound", err)
	}
	if _, _, err := f.agent.Logs(t.Context(), "web", false); !errors.Is(err, cluster.ErrForbidden) {
		t.Errorf("by a node: %v, want ErrForbidden", err)
	}
}
