package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/flocker"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

// A reply is the answer to a request. Its body is written as JSON, unless the status has none.
type reply struct {
	status int // zero means 200
	body   any
	// revision, unless zero, is written as the ETag.
	revision cluster.Revision
	// text, unless nil, is written in place of body, as it is.
	text []byte
	// stream, unless nil, is written in place of body, and node as the name of whose output it is.
	stream io.ReadCloser
	node   string
	// tag, unless empty, is written as Flocker's tag of the configuration.
	tag string
}

func ok(body any) reply      { return reply{body: body} }
func created(body any) reply { return reply{status: http.StatusCreated, body: body} }

var (
	noContent   = reply{status: http.StatusNoContent}
	notModified = reply{status: http.StatusNotModified}
)

// empty: its status has no body.
func (r reply) empty() bool {
	return r.status == http.StatusNoContent || r.status == http.StatusNotModified
}

// list makes an empty list of none: clients get [] and never null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// serve wraps the handler of a route with all that is the same for every request.
func (a *api) serve(r route) gin.HandlerFunc {
	return func(c *gin.Context) {
		started := time.Now()
		who, err := identify(c.Request)
		if err == nil {
			err = r.access.allow(who, c.Param("node"))
		}
		if err == nil {
			err = a.admit(who)
		}
		var t *admission
		if err == nil {
			t, err = a.clients.enter(c.Request.Context(), who.String())
		}
		var answer reply
		if err == nil {
			defer t.leave()
			c.Set(turnKey, t)
			if !r.streams {
				body := &timedBody{ReadCloser: c.Request.Body, deadlines: a.deadlines(c), ctx: c.Request.Context(), turn: t}
				c.Request.Body = http.MaxBytesReader(c.Writer, body, a.maxBody())
			}
			ctx := wire.WithInstance(c.Request.Context(), c.GetHeader(wire.HeaderInstance))
			c.Request = c.Request.WithContext(wire.WithCaller(ctx, callerOf(who)))
			answer, err = call(r, c, who)
		}
		if err == nil && !answer.empty() && answer.stream == nil {
			err = a.admit(who) // it may have waited for long
		}
		if err != nil {
			answer = a.failure(c, r, err)
		}
		answer = a.encode(c, answer)
		if t != nil {
			t.rest()
		}
		a.write(c, answer)
		finishBeats(c)
		a.log().LogAttrs(c.Request.Context(), slog.LevelDebug, "request",
			slog.String("method", c.Request.Method), slog.String("path", c.Request.URL.Path), slog.String("who", who.String()),
			slog.Int("status", c.Writer.Status()), slog.Duration("took", time.Since(started)),
			slog.String("task", c.GetHeader("X-Eliot-Task-Id")))
	}
}

// begin gives a request its deadlines.
func (a *api) begin(c *gin.Context) {
	d := a.deadlines(c)
	d.write()
	if c.Request.Body != http.NoBody {
		d.read()
	}
}

func (a *api) deadlines(c *gin.Context) deadlines {
	return deadlines{http.NewResponseController(c.Writer), a.patience()}
}

// A panicked is the error of a handler that panicked.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprint("panic: ", p.value) }

// call runs a handler, so that a bug in one request ends that request and not the service.
func call(r route, c *gin.Context, who pki.Identity) (answer reply, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return r.handle(c, who)
}

// failure is the one place where an error becomes an answer.
func (a *api) failure(c *gin.Context, r route, err error) reply {
	var refusal *flocker.Refusal
	if errors.As(err, &refusal) {
		return reply{status: refusal.Status, body: refusal}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
	}
	status, body := wire.EncodeError(err)
	if status == http.StatusInternalServerError {
		return a.incident(c, r, err)
	}
	if r.flocker {
		body.Kind, body.Hint = "", ""
	}
	return reply{status: status, body: body}
}

// incident answers an error that has no kind: a fault of the server, which its log explains.
func (a *api) incident(c *gin.Context, r route, err error) reply {
	id := cluster.NewUUID()
	log := a.log().With("incident", id, "method", c.Request.Method, "path", c.Request.URL.Path, "error", err)
	description := cluster.Message(err)
	var p *panicked
	if errors.As(err, &p) {
		log = log.With("stack", string(p.stack))
		description = "internal error"
	}
	log.Error("the request failed")
	if r.flocker {
		// A bare string: what Flocker answered in place of an object, its log's task and level.
		return reply{status: http.StatusInternalServerError, body: id + "@/1"}
	}
	return reply{status: http.StatusInternalServerError, body: wire.ErrorBody{
		Description: description, Hint: "the log of the control service has more about incident " + id}}
}

// refuse answers a request that no route is for.
func (a *api) refuse(c *gin.Context, status int, description string) {
	a.write(c, a.encode(c, reply{status: status, body: wire.ErrorBody{Description: description}}))
}

// encode returns the reply with the text of its body.
func (a *api) encode(c *gin.Context, r reply) reply {
	if r.stream != nil || r.text != nil || r.empty() {
		return r
	}
	c.Header("Content-Type", "application/json")
	var err error
	if r.text, err = json.Marshal(r.body); err != nil {
		a.log().Error("encode an answer", "path", c.Request.URL.Path, "error", err)
		return reply{status: http.StatusInternalServerError}
	}
	return r
}

func (a *api) write(c *gin.Context, r reply) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.revision != 0 {
		c.Header("ETag", wire.ETag(r.revision))
	}
	if r.tag != "" {
		c.Header(tagHeader, r.tag)
	}
	if r.stream != nil {
		a.stream(c, r)
		return
	}
	if r.empty() {
		a.deadlines(c).write() // it may have waited for longer than a client may take to read
		c.Status(r.status)
		c.Writer.WriteHeaderNow()
		return
	}
	c.Header("Content-Length", strconv.Itoa(len(r.text)))
	c.Status(r.status)
	// A client that does not read it has left: there is nobody to tell.
	_, _ = timedWriter{c.Writer, a.deadlines(c)}.Write(r.text)
}
