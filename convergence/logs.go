package convergence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

const (
	// instancePatience is how long a request for logs waits for the application to be created: it
	// may be about to. It is shorter than the patience of the control service, which then gets the
	// reason.
	instancePatience = 5 * time.Second
	// instancePoll is how often that is looked at.
	instancePoll = 100 * time.Millisecond
)

// A logRun is a request for the output of an application that is being answered, or has been: it
// is in the slice a moment longer.
type logRun struct {
	request cluster.LogRequest
	end     context.CancelFunc
	// made tells the instance whose output it is from those that replace it. The agent's mu
	// guards it; empty until the output is open.
	made string
}

// answerLogs begins to answer the requests that are new, and ends those that are gone: nobody
// wants them any more, or the application is another node's to run.
func (a *Agent) answerLogs(ctx context.Context, requests []cluster.LogRequest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, run := range a.logs {
		if !slices.Contains(requests, run.request) {
			run.end()
			delete(a.logs, id)
		}
	}
	for _, r := range requests {
		if a.logs[r.ID] != nil {
			continue
		}
		lasting, end := context.WithCancel(ctx)
		run := &logRun{request: r, end: end}
		a.logs[r.ID] = run
		a.answering.Go(func() {
			defer end()
			a.answerLog(ctx, lasting, run)
		})
	}
}

// answerLog answers one request. When lasting ends, what has been written until then is sent and
// the answer ends well; ctx is the agent's own, which breaks it off.
func (a *Agent) answerLog(ctx, lasting context.Context, run *logRun) {
	for {
		err := a.sendLog(ctx, lasting, run)
		if err == nil {
			return
		}
		a.Log.Debug("a request for logs was not answered", "app", run.request.Application, "error", err)
		// Only a service that was not there has heard nothing of the answer.
		if !errors.Is(err, cluster.ErrUnavailable) || !sleep(lasting, reconnectDelay(3)) {
			return
		}
	}
}

func (a *Agent) sendLog(ctx, lasting context.Context, run *logRun) error {
	// The service may be done with the output before the slice says so: then its Read ends here.
	reading, stop := context.WithCancel(lasting)
	defer stop()
	output, err := a.openLog(reading, run)
	switch {
	case err == nil:
	case lasting.Err() != nil:
		return lasting.Err() // nobody wants to know any more
	default:
		output = failing{err}
	}
	return a.Control.AnswerLogs(ctx, a.Node.ID, run.request.ID, output)
}

// openLog opens the output of an application, once it is there.
func (a *Agent) openLog(ctx context.Context, run *logRun) (io.ReadCloser, error) {
	app := run.request.Application
	for deadline := time.Now().Add(instancePatience); ; {
		instances, err := a.Runtime.Instances(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the applications: %w", err)
		}
		i := slices.IndexFunc(instances, func(i runtime.Instance) bool { return i.Name == app })
		if i >= 0 {
			a.mu.Lock()
			run.made = madeFrom(instances[i])
			a.mu.Unlock()
			return a.Runtime.Logs(ctx, app, run.request.Follow)
		}
		if time.Now().After(deadline) || !sleep(ctx, instancePoll) {
			return nil, fmt.Errorf("%w: application %q has not been created on %s yet", cluster.ErrNotFound, app, a.Node.Name)
		}
	}
}

// openLogs returns the requests whose output is open, each with what its instance was made from.
func (a *Agent) openLogs() map[*logRun]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	open := map[*logRun]string{}
	for _, run := range a.logs {
		if run.made != "" {
			open[run] = run.made
		}
	}
	return open
}

// endReplacedLogs ends the follows of instances that are no longer there: their output does not
// go on. They were open before the instances were looked at.
func endReplacedLogs(open map[*logRun]string, instances []runtime.Instance) {
	present := map[cluster.AppName]string{}
	for _, i := range instances {
		present[i.Name] = madeFrom(i)
	}
	for run, made := range open {
		if made != present[run.request.Application] {
			run.end()
		}
	}
}

func madeFrom(i runtime.Instance) string { return fmt.Sprintf("%s %d", i.Fingerprint, i.Epoch) }

// failing is the output of an application that has none to show.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
func (f failing) Close() error             { return nil }
