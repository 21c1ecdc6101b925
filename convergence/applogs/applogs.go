// Package applogs answers the control service's requests for the output of applications.
//
//	l := &applogs.Answerer{Node: node, Runtime: r, Control: client, Log: log}
//	l.Answer(ctx, assignment.Logs)       // on every change
//	seen := l.Look()                     // before the instances are looked at
//	seen(instances)
//	l.Wait()
package applogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/internal/sleep"
)

const (
	// instancePatience is how long a request for logs waits for the application to be created: it
	// may be about to. It is shorter than the patience of the control service, which then gets the
	// reason.
	instancePatience = 5 * time.Second
	// instancePoll is how often that is looked at.
	instancePoll = 100 * time.Millisecond
	// again is the time until a control service that was away is asked again.
	again = 400 * time.Millisecond
)

// Control is what an Answerer needs of the control service. Package client implements it.
type Control interface {
	AnswerLogs(ctx context.Context, node cluster.NodeID, id cluster.LogID, output io.ReadCloser) error
}

// An Answerer answers for one node. The exported fields must be set.
type Answerer struct {
	Node    cluster.Node
	Runtime runtime.Runtime
	Control Control
	Log     *slog.Logger

	answering sync.WaitGroup

	mu sync.Mutex
	// runs are the requests that are being answered, or have been.
	runs map[cluster.LogID]*run
}

// A run is a request for the output of an application that is being answered, or has been: it
// is in the assignment a moment longer.
type run struct {
	request cluster.LogRequest
	end     context.CancelFunc
	// made tells the instance whose output it is from those that replace it. The
	// Answerer's mu guards it; empty until the output is open.
	made string
}

// Answer begins to answer the requests that are new, and ends those that are gone: nobody
// wants them any more, or the application is another node's to run.
func (l *Answerer) Answer(ctx context.Context, requests []cluster.LogRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, run := range l.runs {
		if !slices.Contains(requests, run.request) {
			run.end()
			delete(l.runs, id)
		}
	}
	if l.runs == nil {
		l.runs = map[cluster.LogID]*run{}
	}
	for _, r := range requests {
		if l.runs[r.ID] != nil {
			continue
		}
		lasting, end := context.WithCancel(ctx)
		run := &run{request: r, end: end}
		l.runs[r.ID] = run
		l.answering.Go(func() {
			defer end()
			l.answer(ctx, lasting, run)
		})
	}
}

// answer answers one request. When lasting ends, what has been written until then is sent and
// the answer ends well; ctx is the agent's own, which breaks it off.
func (l *Answerer) answer(ctx, lasting context.Context, run *run) {
	for {
		err := l.send(ctx, lasting, run)
		if err == nil {
			return
		}
		l.Log.Debug("a request for logs was not answered", "app", run.request.Application, "error", err)
		// Only a service that was not there has heard nothing of the answer.
		if !errors.Is(err, cluster.ErrUnavailable) || sleep.For(lasting, again/2+rand.N(again/2)) != nil {
			return
		}
	}
}

func (l *Answerer) send(ctx, lasting context.Context, run *run) error {
	// The service may be done with the output before the assignment says so: then its Read ends here.
	reading, stop := context.WithCancel(lasting)
	defer stop()
	output, err := l.open(reading, run)
	switch {
	case err == nil:
	case lasting.Err() != nil:
		return lasting.Err() // nobody wants to know any more
	default:
		output = failing{err}
	}
	return l.Control.AnswerLogs(ctx, l.Node.ID, run.request.ID, output)
}

// open opens the output of an application, once it is there.
func (l *Answerer) open(ctx context.Context, run *run) (io.ReadCloser, error) {
	app := run.request.Application
	for deadline := time.Now().Add(instancePatience); ; {
		instances, err := l.Runtime.Instances(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the applications: %w", err)
		}
		i := slices.IndexFunc(instances, func(i runtime.Instance) bool { return i.Name == app })
		if i >= 0 {
			l.mu.Lock()
			run.made = madeFrom(instances[i])
			l.mu.Unlock()
			return l.Runtime.Logs(ctx, app, run.request.Follow)
		}
		if time.Now().After(deadline) || sleep.For(ctx, instancePoll) != nil {
			return nil, fmt.Errorf("%w: application %q has not been created on %s yet", cluster.ErrNotFound, app, l.Node.Name)
		}
	}
}

// Look begins a look at the instances. What it returns takes what was seen, and ends the follows of instances
// that are no longer there: their output does not go on. Those that open meanwhile are left alone.
func (l *Answerer) Look() (seen func(instances []runtime.Instance)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := map[*run]string{} // with what the instance was made from
	for _, run := range l.runs {
		if run.made != "" {
			open[run] = run.made
		}
	}
	return func(instances []runtime.Instance) {
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
}

func madeFrom(i runtime.Instance) string { return fmt.Sprintf("%s %d", i.Fingerprint, i.Epoch) }

// failing is the output of an application that has none to show.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
func (f failing) Close() error             { return nil }

// Wait waits until all requests are answered: soon after the context of Answer has ended.
func (l *Answerer) Wait() { l.answering.Wait() }
