package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// maxWait bounds how long a request may wait, so that connections that nobody listens to end.
const maxWait = 60 * time.Second

// A poll is a request that waits for something newer than what the client has.
type poll struct {
	since uint64
	wait  time.Duration
	turn  *admission
}

// pollOf reads the query of a poll: since, and wait as a duration ("5s").
func pollOf(c *gin.Context) (poll, error) {
	p := poll{turn: turnOf(c)}
	var err error
	if text := c.Query("since"); text != "" {
		if p.since, err = strconv.ParseUint(text, 10, 64); err != nil {
			return p, fmt.Errorf("%w: since %q: want a number", cluster.ErrInvalid, text)
		}
	}
	if text := c.Query("wait"); text != "" {
		p.wait, err = time.ParseDuration(text)
		if err != nil || p.wait < 0 {
			return p, fmt.Errorf("%w: wait %q: want a duration such as 5s", cluster.ErrInvalid, text)
		}
	}
	p.wait = min(p.wait, maxWait)
	return p, nil
}

// run calls ask with a context that ends after the wait, and reports whether there was an answer
// by then.
func (p poll) run(ctx context.Context, ask func(context.Context) error) (answered bool, err error) {
	waiting, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	if p.wait > 0 {
		p.turn.rest()
	}
	err = ask(waiting)
	if errors.Is(err, context.DeadlineExceeded) && waiting.Err() != nil && ctx.Err() == nil {
		return false, nil
	}
	if err == nil {
		err = p.turn.work(ctx)
	}
	return err == nil, err
}

// ifMatch returns the revision that a write is made from, or zero if it does not say.
func ifMatch(c *gin.Context) (cluster.Revision, error) {
	text := c.GetHeader("If-Match")
	if text == "" || text == "*" {
		return 0, nil
	}
	return wire.ParseETag(text)
}

// decode reads the body of a node's call. Members that are not known are passed over, since an
// agent may be newer than the service.
func decode(c *gin.Context, into any) error { return decodeBody(c, into, false) }

// decodeStrictly reads the body of a user's call. A member that is not known is refused: it is a
// slip, and what was meant by it would be lost in silence.
func decodeStrictly(c *gin.Context, into any) error { return decodeBody(c, into, true) }

func decodeBody(c *gin.Context, into any, strict bool) error {
	d := json.NewDecoder(c.Request.Body)
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into); err != nil {
		return bodyError(err)
	}
	_, err := d.Token()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return bodyError(errors.New("more than one JSON document"))
	default:
		return bodyError(err)
	}
}

// readBody returns the body as it is.
func readBody(c *gin.Context) ([]byte, error) {
	text, err := io.ReadAll(c.Request.Body)
	if err != nil {
		return nil, bodyError(err)
	}
	return text, nil
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fmt.Errorf("%w: read the body: it has more than %d bytes", cluster.ErrInvalid, tooLarge.Limit)
	}
	return fmt.Errorf("%w: read the body: %w", cluster.ErrInvalid, err)
}
