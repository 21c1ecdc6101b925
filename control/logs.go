package control

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// A logRequest is a user who wants the output of an application. It is in memory only: with the
// service its connection ends, and so does what it was for.
//
//	Logs adds it -> the node's assignment has it -> the node answers it -> the user reads -> it is dropped
//
// The service's mu guards it.
type logRequest struct {
	cluster.LogRequest
	// by is the node that answers, and output what it answers; empty until one does.
	by     cluster.NodeID
	output io.ReadCloser
	taken  signal        // by and output are set
	over   chan struct{} // closed when nobody reads output any more
}

// Logs asks the node where an application runs for its output, and returns the name of the node
// and the output as it comes in. With follow it goes on until the application leaves the node or
// is replaced there. The output must be closed, which frees a Read under way.
func (s *Service) Logs(ctx context.Context, app cluster.AppName, follow bool) (string, io.ReadCloser, error) {
	r, err := s.wantLogs(app, follow)
	if err != nil {
		return "", nil, fmt.Errorf("read the logs of %s: %w", app, err)
	}
	patience := s.options.Timing.Logs
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = s.await(patient, func() (*signal, error) {
		if r.by == "" {
			return &r.taken, nil
		}
		return nil, nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.by != "" {
		return s.model.Node(r.by), &logOutput{ReadCloser: r.output, end: func() { s.endLogs(r) }}, nil
	}
	s.dropLogs(r)
	if ctx.Err() == nil {
		err = s.unanswered(app, patience)
	}
	return "", nil, fmt.Errorf("read the logs of %s: %w", app, err)
}

// AnswerLogs is a node's answer to a request of its assignment. It returns once nobody reads output any
// more, and has then closed it: that must free a Read under way.
func (s *Service) AnswerLogs(node cluster.NodeID, id cluster.LogID, output io.ReadCloser) error {
	r, err := s.takeLogs(node, id, output)
	if err != nil {
		return fmt.Errorf("answer a request for logs: %w", err)
	}
	<-r.over
	return nil
}

func (s *Service) wantLogs(app cluster.AppName, follow bool) (*logRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.model.RunsOn(app); err != nil {
		return nil, err
	}
	if len(s.logs) >= mostLogs {
		return nil, fmt.Errorf("%w: %d others are being read or followed, and that is the most", cluster.ErrUnavailable, len(s.logs))
	}
	r := &logRequest{
		LogRequest: cluster.LogRequest{ID: cluster.LogID(cluster.NewUUID()), Application: app, Follow: follow},
		over:       make(chan struct{}),
	}
	s.logs[r.ID] = r
	s.logsChanged(r)
	return r, nil
}

func (s *Service) takeLogs(node cluster.NodeID, id cluster.LogID, output io.ReadCloser) (*logRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.logs[id]
	if r == nil {
		return nil, fmt.Errorf("%w: nobody waits for %q", cluster.ErrNotFound, id)
	}
	if at, err := s.model.RunsOn(r.Application); err != nil || at != node {
		return nil, fmt.Errorf("%w: application %q does not run on %s", cluster.ErrForbidden, r.Application, s.model.Node(node))
	}
	if r.by != "" {
		return nil, fmt.Errorf("%w: it is being answered", cluster.ErrConflict)
	}
	r.by, r.output = node, output
	r.taken.raise()
	return r, nil
}

func (s *Service) endLogs(r *logRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLogs(r)
	close(r.over)
}

// dropLogs forgets a request. The caller holds mu.
func (s *Service) dropLogs(r *logRequest) {
	delete(s.logs, r.ID)
	s.logsChanged(r)
}

// logsChanged wakes the nodes whose assignment has a request or had it. The caller holds mu.
func (s *Service) logsChanged(r *logRequest) {
	concerned := records.Set[cluster.NodeID]{r.by: {}}
	if at, err := s.model.RunsOn(r.Application); err == nil {
		concerned[at] = struct{}{}
	}
	s.wake(concerned)
}

// unanswered says why there is no output. The caller holds mu.
func (s *Service) unanswered(app cluster.AppName, patience time.Duration) error {
	node, err := s.model.RunsOn(app)
	if err != nil {
		return err // meanwhile
	}
	called := s.model.Node(node)
	if n := s.sessions[node]; n == nil || n.Heard.IsZero() {
		return fmt.Errorf("%w: node %s, where it runs, has not been heard of", cluster.ErrUnavailable, called)
	}
	if seen := s.view(); !seen.InTouch(node) {
		return fmt.Errorf("%w: node %s, where it runs, has not been heard of for %s", cluster.ErrUnavailable, called,
			seen.Silence(node).Round(time.Second))
	}
	return fmt.Errorf("%w: node %s, where it runs, did not send them within %s", cluster.ErrUnavailable, called, patience)
}

// logsOn returns what a node is asked for: the requests for applications that run there, except
// those that another node has begun to answer.
func logsOn(m *records.Model, requests map[cluster.LogID]*logRequest, node cluster.NodeID) []cluster.LogRequest {
	var out []cluster.LogRequest
	for _, id := range records.Sorted(requests) {
		r := requests[id]
		at, err := m.RunsOn(r.Application)
		if err == nil && at == node && (r.by == "" || r.by == node) {
			out = append(out, r.LogRequest)
		}
	}
	return out
}

// A logOutput is what a node answers, until the user has had enough of it.
type logOutput struct {
	io.ReadCloser
	end    func()
	closed sync.Once
}

// Close may be called more than once, and while a Read is under way.
func (o *logOutput) Close() (err error) {
	o.closed.Do(func() {
		err = o.ReadCloser.Close()
		o.end()
	})
	return err
}
