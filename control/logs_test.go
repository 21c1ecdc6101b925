package control

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// reading is a user who asked for logs.
type reading struct {
	node   string
	output io.ReadCloser
	err    error
}

// askLogs asks for the logs of an application, and returns where the answer will arrive.
func (l *lab) askLogs(ctx context.Context, app cluster.AppName, follow bool) <-chan reading {
	result := make(chan reading, 1)
	svc := l.Service
	go func() {
		node, output, err := svc.Logs(ctx, app, follow)
		result <- reading{node, output, err}
	}()
	synctest.Wait()
	return result
}

// answerLogs answers a request as the agent of the node, and returns where it is told the end.
func (h *host) answerLogs(id cluster.LogID, output io.ReadCloser) <-chan error {
	ended := make(chan error, 1)
	svc := h.lab.Service
	go func() { ended <- svc.AnswerLogs(h.id, id, output) }()
	synctest.Wait()
	return ended
}

// wantLogs returns the one request that the node is asked.
func (h *host) wantLogs() cluster.LogRequest {
	h.lab.t.Helper()
	logs := h.assignment().Logs
	if len(logs) != 1 {
		h.lab.t.Fatalf("%s is asked for the logs %+v, want one request", h.id, logs)
	}
	return logs[0]
}

func (h *host) wantNoLogs(why string) {
	h.lab.t.Helper()
	if logs := h.assignment().Logs; len(logs) != 0 {
		h.lab.t.Errorf("%s: %s is asked for the logs %+v", why, h.id, logs)
	}
}

func TestLogsComeFromTheNodeWhereTheApplicationRuns(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		a, b := l.host("a"), l.host("b")
		for _, id := range records.Sorted(l.hosts) {
			l.host(id).act()
		}
		woken, others := a.pending(a.assignment().Revision), b.assignment().Revision
		result := l.askLogs(l.ctx, "db", true)
		if b.assignment().Revision != others {
			t.Error("b got another assignment for the sake of another node's application")
		}
		r := arrived(t, woken).Logs
		if len(r) != 1 || r[0].Application != "db" || !r[0].Follow {
			t.Fatalf("a is asked %+v", r)
		}
		if status := l.Status(); !status.Converged {
			t.Errorf("with a request for logs, this is pending: %v", status.Pending)
		}

		from, to := io.Pipe()
		ended := a.answerLogs(r[0].ID, from)
		got := arrived(t, result)
		l.ok(got.err)
		if got.node != "node-a" {
			t.Errorf("they come from %q, want node-a", got.node)
		}
		go func() { io.WriteString(to, "hello\n"); to.CloseWithError(errors.New("disk full")) }()
		text, err := io.ReadAll(got.output)
		if string(text) != "hello\n" || err == nil || err.Error() != "disk full" {
			t.Errorf("read %q, %v; want what the node sent, and its error", text, err)
		}
		a.wantLogs() // until the user is done
		l.ok(got.output.Close())
		l.ok(got.output.Close())
		l.ok(arrived(t, ended))
		a.wantNoLogs("the user is gone")
	})
}

func TestAUserWhoGoesEndsTheAnswer(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		result := l.askLogs(l.ctx, "db", true)
		from, to := io.Pipe()
		ended := l.host("a").answerLogs(l.host("a").wantLogs().ID, from)
		l.ok(arrived(t, result).output.Close())
		l.ok(arrived(t, ended))
		if _, err := to.Write([]byte("more")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the node writes on: %v", err)
		}

		ctx, cancel := context.WithCancel(l.ctx)
		result = l.askLogs(ctx, "db", true)
		l.host("a").wantLogs()
		cancel()
		l.wantKind(arrived(t, result).err, context.Canceled)
		l.host("a").wantNoLogs("the user did not wait")
	})
}

func TestLogsThatNobodySends(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		for _, tt := range []struct {
			rule   string
			silent time.Duration
			why    string
		}{
			{"a node in touch", 0, "node node-a, where it runs, did not send them within 10s"},
			{"a node that is away", time.Minute, "node node-a, where it runs, has not been heard of for 1m10s"},
		} {
			l.host("a").report()
			time.Sleep(tt.silent)
			began := time.Now()
			_, _, err := l.Logs(l.ctx, "db", false)
			l.wantKind(err, cluster.ErrUnavailable)
			if took := time.Since(began); took != 10*time.Second || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("%s: %v after %s, want %q after 10s", tt.rule, err, took, tt.why)
			}
			l.host("a").wantNoLogs(tt.rule)
		}
		l.restart()
		_, _, err := l.Logs(l.ctx, "db", false)
		if err == nil || !strings.Contains(err.Error(), "has not been heard of") {
			t.Errorf("after a restart: %v", err)
		}
	})
}

func TestLogsOfWhatDoesNotRun(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		l.configure(site("")) // placed nowhere
		for app, why := range map[cluster.AppName]string{
			"ghost": `application "ghost": not found; the applications are: db, site`,
			"site":  "it is placed on no node",
		} {
			_, _, err := l.Logs(l.ctx, app, false)
			l.wantKind(err, cluster.ErrNotFound)
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %v, want %q", app, err, why)
			}
		}
	})
}

func TestOnlyTheNodeConcernedMayAnswer(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		result := l.askLogs(l.ctx, "db", true)
		id := l.host("a").wantLogs().ID
		nothing := func() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }
		l.wantKind(l.AnswerLogs("b", id, nothing()), cluster.ErrForbidden)
		l.wantKind(l.AnswerLogs("a", "other", nothing()), cluster.ErrNotFound)
		first := l.host("a").answerLogs(id, nothing())
		l.wantKind(l.AnswerLogs("a", id, nothing()), cluster.ErrConflict)
		l.ok(arrived(t, result).output.Close())
		l.ok(arrived(t, first))
		l.wantKind(l.AnswerLogs("a", id, nothing()), cluster.ErrNotFound)
	})
}

func TestRequestsForLogsAreBounded(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		ctx, cancel := context.WithCancel(l.ctx)
		for range mostLogs {
			l.askLogs(ctx, "db", false)
		}
		_, _, err := l.Logs(l.ctx, "db", false)
		l.wantKind(err, cluster.ErrUnavailable)
		if got := len(l.host("a").assignment().Logs); got != mostLogs {
			t.Errorf("a is asked %d times, want %d", got, mostLogs)
		}
		cancel()
		synctest.Wait()
		l.host("a").wantNoLogs("all have gone")
	})
}

func TestLogsFollowTheOwner(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		ctx, cancel := context.WithCancel(l.ctx)
		defer cancel()
		answered := l.askLogs(ctx, "db", true)
		from, _ := io.Pipe()
		ended := l.host("a").answerLogs(l.host("a").wantLogs().ID, from)
		l.askLogs(ctx, "db", true)
		m := l.bring(cluster.PhaseHold)
		if got := len(l.host("a").assignment().Logs); got != 2 {
			t.Errorf("before the commit a is asked %d times, want 2", got)
		}
		l.ok(l.commit(m))
		l.host("a").wantNoLogs("the application has left")
		l.host("b").wantLogs() // the one that a had not begun to answer
		l.ok(arrived(t, answered).output.Close())
		l.ok(arrived(t, ended))
	})
}

func TestLogsOfAnApplicationThatLeaves(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.configure(site("a"))
		l.host("a").act()
		ctx, cancel := context.WithCancel(l.ctx)
		defer cancel()
		l.askLogs(ctx, "site", true)
		l.configure(site("b"))
		l.host("a").wantLogs()
		l.host("b").wantNoLogs("it serves on a still")
		l.host("b").act()
		l.host("a").wantNoLogs("it serves on b")
		l.host("b").wantLogs()
	})
}
