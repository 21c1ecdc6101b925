package docker

import (
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

const (
	// reconnect is how long to wait for an engine that went away before asking again.
	reconnect = 500 * time.Millisecond
	// shutdown is how long an engine that is stopped may take to end its containers, each end an
	// event like any other, before its events end.
	shutdown = 30 * time.Second
)

// followEvents wakes the agent up when a container has changed, until the runtime is closed. It
// goes on over restarts of the engine.
func (r *Runtime) followEvents() {
	var lost time.Time // when the engine went away
	for r.ctx.Err() == nil {
		if !lost.IsZero() {
			if _, err := r.engine.Ping(r.ctx, client.PingOptions{}); err != nil {
				r.pause()
				continue
			}
			r.log.Info("the Docker engine is back", "away", time.Since(lost).Round(time.Millisecond))
			r.excuse(lost.Add(-shutdown))
		}
		stream := r.engine.Events(r.ctx, client.EventsListOptions{Filters: client.Filters{}.
			Add("type", string(events.ContainerEventType)).Add("label", labelPrefix+"="+r.o.Prefix)})
		r.signal() // for what happened while nobody listened
		r.pass(stream)
		if r.ctx.Err() == nil {
			r.log.Warn("the Docker engine has gone away")
			lost = time.Now()
			r.pause()
		}
	}
}

// pass passes events on until there are no more.
func (r *Runtime) pass(stream client.EventsResult) {
	for {
		select {
		case <-stream.Messages:
			r.signal()
		case <-stream.Err:
			return
		}
	}
}

// excuse notes of the containers that ended since a time that the engine took them with it: their
// restart policy has no say in that.
func (r *Runtime) excuse(since time.Time) {
	list, err := r.engine.ContainerList(r.ctx, client.ContainerListOptions{All: true, Filters: r.mine(roleApplication)})
	if err != nil {
		r.log.Warn("could not look what the engine has ended", "error", err)
		return
	}
	for _, item := range list.Items {
		c, err := r.engine.ContainerInspect(r.ctx, item.ID, client.ContainerInspectOptions{})
		if err != nil || c.Container.State.Running || moment(c.Container.State.FinishedAt).Before(since) {
			continue
		}
		if err := r.keep(item.ID, record{Boot: r.boot, Asked: true}); err != nil {
			r.log.Warn("could not note that the engine has ended a container", "error", err)
		}
	}
}

func (r *Runtime) pause() {
	select {
	case <-r.ctx.Done():
	case <-time.After(reconnect):
	}
}
