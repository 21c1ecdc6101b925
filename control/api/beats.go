package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

const (
	// mostBeat is how long the line of a heartbeat may be.
	mostBeat = 256
	// beatPause is how long a node that beats wildly is left alone.
	beatPause = 100 * time.Millisecond
)

// errEnough says that an agent has ended the body of its poll: it does not want to wait any longer.
var errEnough = errors.New("the agent does not wait any longer")

// A beating is the body of a poll in which heartbeats come.
type beating struct {
	deadlines
	answer gin.ResponseWriter
	ended  chan struct{}
}

const beatingKey = "beating"

// beats returns a context for a poll, which ends with its body, if heartbeats come in it. The cause is errEnough,
// the refusal of a heartbeat, or that the agent is gone. A body that says nothing is silence: it ends nothing.
func (a *api) beats(c *gin.Context, who pki.Identity) (context.Context, context.CancelCauseFunc) {
	ctx, end := context.WithCancelCause(c.Request.Context())
	c.Header(wire.HeaderBeats, "true")
	if c.GetHeader(wire.HeaderBeats) == "" {
		return ctx, end
	}
	b := &beating{a.deadlines(c), c.Writer, make(chan struct{})}
	if err := b.control.EnableFullDuplex(); err != nil {
		end(err)
		return ctx, end
	}
	b.readAtLeisure()
	c.Set(beatingKey, b)
	go func(body io.Reader) {
		defer close(b.ended)
		end(a.hearBeats(ctx, body, who))
		_, _ = io.Copy(io.Discard, body)
	}(c.Request.Body)
	return ctx, end
}

// finishBeats waits, once a poll has been answered, until its body has ended, which the agent does then. The server
// takes the next request off the connection only if its handler has seen that.
func finishBeats(c *gin.Context) {
	if b, beats := c.Get(beatingKey); beats {
		b := b.(*beating)
		b.answer.Flush()
		b.read()
		<-b.ended
	}
}

// hearBeats takes in the heartbeats of a body, each as if it had come by itself, and says why it ended. Of a node that
// was removed the service takes none.
func (a *api) hearBeats(ctx context.Context, body io.Reader, who pki.Identity) error {
	lines := bufio.NewReaderSize(body, mostBeat)
	for last := (time.Time{}); ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("%w: a heartbeat has more than %d bytes", cluster.ErrInvalid, mostBeat)
		case errors.Is(err, io.EOF) && len(line) == 0:
			return errEnough
		case err != nil:
			return context.Canceled
		}
		b := wire.Heartbeat{Polling: true}
		if err := json.Unmarshal(line, &b); err != nil {
			return bodyError(err)
		}
		if err := a.service.Heartbeat(ctx, who.NodeID(), b); err != nil {
			return err
		}
		now := time.Now()
		if now.Sub(last) < beatPause {
			time.Sleep(beatPause)
		}
		last = now
	}
}
