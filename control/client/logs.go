package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// Logs returns the output of an application, and the name of the node that it runs on. With follow
// it goes on, until ctx ends, it is closed, or the application leaves that node; asking again then
// leads to the next one. An output that did not come to its end ends with an error.
func (c *Client) Logs(ctx context.Context, app cluster.AppName, follow bool) (node string, output io.ReadCloser, err error) {
	reading, cancel := context.WithCancelCause(ctx)
	// The answer must begin in time. How long it goes on is up to the application.
	patient := time.AfterFunc(patience+wire.LogPatience, func() { cancel(context.DeadlineExceeded) })
	defer patient.Stop()
	response, err := c.stream(reading, ctx, request{
		method: http.MethodGet,
		path:   path(wire.PathLogs, string(app)),
		query:  url.Values{"follow": {strconv.FormatBool(follow)}},
	}, nil)
	if err != nil {
		cancel(nil)
		return "", nil, err
	}
	return response.Header.Get(wire.HeaderNode), &logOutput{client: c, ctx: ctx, response: response, cancel: cancel}, nil
}

// AnswerLogs sends the output that a request of the assignment asks the caller's own node for, as it
// comes in, and with it the error that it ends with: to end with ctx is one. It returns once the
// service wants no more of it, or ctx ends, and closes output, which must free a Read under way.
func (c *Client) AnswerLogs(ctx context.Context, node cluster.NodeID, id cluster.LogID, output io.ReadCloser) error {
	defer output.Close()
	// A request that is cancelled waits for the Read of its body.
	defer context.AfterFunc(ctx, func() { output.Close() })()
	body := &sentOutput{ReadCloser: output, ctx: ctx, trailer: http.Header{wire.TrailerError: nil}}
	response, err := c.stream(ctx, ctx, request{
		method: http.MethodPost,
		path:   path(wire.PathNodeLogs, string(node), string(id)),
	}, body)
	if err != nil {
		return err
	}
	response.Body.Close() // it has nothing in it
	if body.broke.Load() {
		// The service noticed first: it has had the end of what was sent, and answers that it wants no more.
		return c.unreachable(ctx, ctx.Err())
	}
	return nil
}

// stream sends a request, for at most as long as ctx lasts, and returns the answer unread unless it
// is an error. The caller's own context tells why it did not come.
func (c *Client) stream(ctx, callers context.Context, r request, body *sentOutput) (*http.Response, error) {
	q, err := c.build(ctx, r)
	if err != nil {
		return nil, err
	}
	if body != nil {
		q.Body, q.ContentLength, q.Trailer = body, -1, body.trailer
		q.Header.Set("Content-Type", "application/octet-stream")
	}
	response, err := c.http.Do(q)
	if err != nil {
		return nil, c.unreachable(callers, err)
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, c.unreachable(callers, err)
	}
	return nil, refusal(response.StatusCode, text)
}

// A sentOutput puts the error that an output ends with into the trailer of the request.
type sentOutput struct {
	io.ReadCloser
	ctx     context.Context
	trailer http.Header
	broke   atomic.Bool // ctx ended before the output did
}

func (o *sentOutput) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	if err != nil && o.ctx.Err() != nil {
		o.broke.Store(true)
		err = fmt.Errorf("%w: the node broke off", cluster.ErrUnavailable)
	}
	if err != nil && err != io.EOF {
		o.trailer.Set(wire.TrailerError, wire.EncodeTrailer(err))
		err = io.EOF
	}
	return n, err
}

// A logOutput is the body of an answer, whose trailer is the error that it ends with.
type logOutput struct {
	client   *Client
	ctx      context.Context // the caller's
	response *http.Response
	cancel   context.CancelCauseFunc
}

func (o *logOutput) Read(p []byte) (int, error) {
	n, err := o.response.Body.Read(p)
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		return n, o.client.unreachable(o.ctx, err)
	}
	failure := wire.DecodeTrailer(o.response.Trailer.Get(wire.TrailerError))
	switch {
	case failure == nil:
		return n, io.EOF
	case o.ctx.Err() != nil:
		return n, o.client.unreachable(o.ctx, failure) // the service noticed first that the caller goes
	default:
		return n, fmt.Errorf("read the logs: %w", failure)
	}
}

func (o *logOutput) Close() error {
	o.cancel(nil)
	return o.response.Body.Close()
}
