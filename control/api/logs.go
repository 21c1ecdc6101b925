package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

func (a *api) logs(c *gin.Context, who pki.Identity) (reply, error) {
	follow := false
	if text := c.Query("follow"); text != "" {
		var err error
		if follow, err = strconv.ParseBool(text); err != nil {
			return reply{}, fmt.Errorf("%w: follow %q: want true or false", cluster.ErrInvalid, text)
		}
	}
	turnOf(c).rest()
	node, output, err := a.service.Logs(c.Request.Context(), cluster.AppName(c.Param("application")), follow)
	if err != nil {
		return reply{}, err
	}
	return reply{stream: a.revocable(output, who), node: node}, nil
}

// stream copies a reply to the client as it comes in. When it breaks off, the status has long been
// sent: the trailer says so.
func (a *api) stream(c *gin.Context, r reply) {
	defer r.stream.Close()
	// Nobody knows when the next line comes: a client that is gone must end the wait for it.
	defer context.AfterFunc(c.Request.Context(), func() { r.stream.Close() })()
	d := a.deadlines(c)
	d.readAtLeisure()
	header := c.Writer.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Trailer", wire.TrailerError)
	header.Set(wire.HeaderNode, r.node)
	c.Status(http.StatusOK)
	c.Writer.Flush()
	if _, err := io.Copy(timedWriter{flushing{c.Writer}, d}, r.stream); err != nil {
		header.Set(wire.TrailerError, wire.EncodeTrailer(err))
	}
}

// flushing sends each piece at once.
type flushing struct{ gin.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	f.Flush()
	return n, err
}

func (a *api) answerLogs(c *gin.Context, who pki.Identity) (reply, error) {
	turnOf(c).rest()
	control := http.NewResponseController(c.Writer)
	_ = control.SetReadDeadline(time.Time{})
	output := &nodeOutput{request: c.Request, control: control}
	// What is left of a body that nobody wants must not keep the answer from being sent.
	defer output.Close()
	return noContent, a.service.AnswerLogs(who.NodeID(), cluster.LogID(c.Param("request")), output)
}

// A nodeOutput is the body that a node sends, with its trailer as the error at the end.
type nodeOutput struct {
	request *http.Request
	control *http.ResponseController
	ended   atomic.Bool
}

func (o *nodeOutput) Read(p []byte) (int, error) {
	n, err := o.request.Body.Read(p)
	if err == nil {
		return n, nil
	}
	o.ended.Store(true)
	if err != io.EOF {
		return n, fmt.Errorf("%w: the node broke off: %w", cluster.ErrUnavailable, err)
	}
	if failure := wire.DecodeTrailer(o.request.Trailer.Get(wire.TrailerError)); failure != nil {
		return n, failure
	}
	return n, io.EOF
}

// Close ends a Read under way, and the connection with it. A body that was read to its end is left
// alone: its connection can be used again.
func (o *nodeOutput) Close() error {
	if o.ended.Swap(true) {
		return nil
	}
	return o.control.SetReadDeadline(time.Unix(1, 0))
}
