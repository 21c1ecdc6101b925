package applogs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// A logNode is the part of an agent that answers requests for logs: it is the runtime and the
// control service of its agent. Follows never end by themselves.
type logNode struct {
	runtime.Runtime
	Control
	*Answerer

	mu        sync.Mutex
	instances []runtime.Instance
	refusals  []error // of the next answers
	answers   []answer
}

// An answer is what arrived at the control service.
type answer struct {
	id   cluster.LogID
	text string
	err  error
}

func newLogNode(instances ...runtime.Instance) *logNode {
	n := &logNode{instances: instances}
	n.Answerer = &Answerer{Node: cluster.Node{ID: "a", Name: "a"}, Runtime: n, Control: n, Log: slog.New(slog.DiscardHandler)}
	return n
}

func (n *logNode) Instances(context.Context) ([]runtime.Instance, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.instances, nil
}

func (n *logNode) Logs(ctx context.Context, name cluster.AppName, follow bool) (io.ReadCloser, error) {
	if name == "broken" {
		return nil, errors.New("disk on fire")
	}
	output := io.Reader(strings.NewReader("output of " + string(name)))
	if follow {
		output = io.MultiReader(output, &until{ctx})
	}
	return io.NopCloser(output), nil
}

type until struct{ ctx context.Context }

func (u *until) Read([]byte) (int, error) {
	<-u.ctx.Done()
	return 0, io.EOF
}

func (n *logNode) AnswerLogs(_ context.Context, _ cluster.NodeID, id cluster.LogID, output io.ReadCloser) error {
	n.mu.Lock()
	var refusal error
	if len(n.refusals) > 0 {
		refusal, n.refusals = n.refusals[0], n.refusals[1:]
	}
	n.mu.Unlock()
	if refusal != nil {
		return refusal
	}
	text, err := io.ReadAll(output)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers = append(n.answers, answer{id, string(text), err})
	return nil
}

// ask gives the agent an assignment with those requests.
func (n *logNode) ask(ctx context.Context, requests ...cluster.LogRequest) {
	n.Answerer.Answer(ctx, requests)
	synctest.Wait()
}

// want checks what has been answered so far.
func (n *logNode) want(t *testing.T, why string, want ...answer) {
	t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.answers) != len(want) {
		t.Errorf("%s: answered %v, want %v", why, n.answers, want)
		return
	}
	for i, w := range want {
		got := n.answers[i]
		if got.id != w.id || got.text != w.text || (w.err == nil) != (got.err == nil) || w.err != nil && !strings.Contains(got.err.Error(), w.err.Error()) {
			t.Errorf("%s: answered %v, want %v", why, got, w)
		}
	}
}

var (
	db     = runtime.Instance{Name: "db", Fingerprint: "f", Epoch: 1}
	once   = cluster.LogRequest{ID: "1", Application: "db"}
	follow = cluster.LogRequest{ID: "2", Application: "db", Follow: true}
	dbOnce = answer{"1", "output of db", nil}
	dbLong = answer{"2", "output of db", nil}
)

func TestRequestsForLogsAreAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLogNode(db)
		n.ask(t.Context(), once, follow)
		n.want(t, "a follow goes on", dbOnce)
		n.ask(t.Context(), once, follow)
		n.want(t, "both are still in the assignment", dbOnce)
		n.ask(t.Context())
		n.want(t, "a follow ends with its request, and well", dbOnce, dbLong)
		n.ask(t.Context(), once)
		n.want(t, "an id that comes again is new", dbOnce, dbLong, dbOnce)
		n.answering.Wait()
	})
}

func TestAFollowEndsWithItsInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLogNode(db)
		before := n.Look()
		n.ask(t.Context(), follow)
		before(nil)
		n.want(t, "a look from before it was opened says nothing")
		n.Look()([]runtime.Instance{db})
		n.want(t, "the instance is the same")
		n.Look()([]runtime.Instance{{Name: "db", Fingerprint: "f", Epoch: 2}})
		n.want(t, "the instance is another one", dbLong)
		n.answering.Wait()
	})
}

func TestLogsOfAnInstanceThatIsNotThereYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLogNode()
		n.ask(t.Context(), once)
		time.Sleep(time.Second)
		n.mu.Lock()
		n.instances = []runtime.Instance{db}
		n.mu.Unlock()
		time.Sleep(time.Second)
		n.want(t, "it was created after a second", dbOnce)

		never := cluster.LogRequest{ID: "3", Application: "never"}
		n.ask(t.Context(), never)
		time.Sleep(instancePatience - time.Second)
		n.want(t, "it may come yet", dbOnce)
		time.Sleep(2 * time.Second)
		n.want(t, "it did not come", dbOnce, answer{"3", "", errors.New(`not found: application "never" has not been created on a yet`)})

		n.ask(t.Context(), cluster.LogRequest{ID: "4", Application: "never"})
		n.ask(t.Context())
		n.answering.Wait()
		if len(n.answers) != 2 {
			t.Errorf("a request that was withdrawn is answered: %v", n.answers)
		}
	})
}

func TestErrorsOfARuntimeAreAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLogNode(runtime.Instance{Name: "broken"})
		n.ask(t.Context(), cluster.LogRequest{ID: "1", Application: "broken"})
		n.want(t, "no output", answer{"1", "", errors.New("disk on fire")})
		n.answering.Wait()
	})
}

func TestAServiceThatIsAwayIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLogNode(db)
		n.refusals = []error{cluster.ErrUnavailable, cluster.ErrUnavailable}
		n.ask(t.Context(), once)
		time.Sleep(5 * time.Second)
		n.want(t, "it came back", dbOnce)

		n.refusals = []error{cluster.ErrNotFound}
		n.ask(t.Context(), follow)
		time.Sleep(5 * time.Second)
		n.want(t, "nobody waits any more", dbOnce)
		n.answering.Wait()
	})
}
