package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkInstant checks what must hold at every instant: at no time do two hosts run an application on one
// volume, or have it open.
func (w *world) checkInstant() {
	w.mu.Lock()
	apps := slices.Clone(w.apps)
	w.mu.Unlock()
	for _, app := range apps {
		var running, open []string
		for _, h := range w.all() {
			if !h.powered() {
				continue
			}
			instances, _ := h.apps.Instances(context.Background())
			for _, i := range instances {
				if i.Running && i.Volume == app.volume {
					running = append(running, fmt.Sprintf("%s (epoch %d)", h.name, i.Epoch))
				}
			}
			copies, _ := h.disk.Copies(context.Background())
			for _, c := range copies {
				if c.Volume == app.volume && c.Open {
					open = append(open, fmt.Sprintf("%s (epoch %d)", h.name, c.Epoch))
				}
			}
		}
		if len(running) > 1 {
			w.breached("one writer: an application runs on volume %s on %s", app.name, strings.Join(running, " and "))
		}
		if len(open) > 1 {
			w.breached("one writer: volume %s is open on %s", app.name, strings.Join(open, " and "))
		}
	}
	for _, h := range w.all() {
		w.checkContainers(h)
	}
}

// becomeCalm ends the troubles: everything runs, every way is open, nobody asks for anything any more.
func (w *world) becomeCalm() {
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	w.net.mend()
	w.service.start()
	w.endCopies()
	for _, h := range w.all() {
		h.mu.Lock()
		h.hangs = false
		h.mu.Unlock()
		if l := h.alive(); l != nil {
			l.light(0)
		}
		h.powerOn()
		h.revive()
	}
	w.happened("calm")
}

// endCopies is what an operator does who is told that there are two hosts with one identity: of those, the one
// that is not the node goes.
func (w *world) endCopies() {
	hosts := w.all()
	if len(hosts) == w.options.Hosts {
		return
	}
	svc := w.service.wait()
	clone := hosts[len(hosts)-1]
	goes := clone
	for _, n := range svc.Nodes() {
		if n.Node.ID == clone.id && n.Node.Address == clone.address {
			goes = hosts[slices.IndexFunc(hosts, func(h *host) bool { return h.id == clone.id })]
		}
	}
	goes.powerOff()
	goes.mu.Lock()
	goes.gone = true
	goes.mu.Unlock()
	w.mu.Lock()
	w.hosts = slices.DeleteFunc(slices.Clone(w.hosts), func(h *host) bool { return h == goes })
	w.mu.Unlock()
	w.happened("%s: an operator ends it, since it is not the node", goes.name)
}

// rest waits until the cluster has come to rest, and looks at what every client can expect then: each move
// has ended, and each application answers from everywhere.
func (w *world) rest() {
	w.outlast()
	var pending []string
	for end := time.Now().Add(w.options.Calm); ; {
		if w.broken() {
			return
		}
		pending = w.pending()
		if len(pending) == 0 {
			break
		}
		if time.Now().After(end) {
			w.breached("a move ends: after %s of calm the cluster has not come to rest: %s", w.options.Calm, strings.Join(pending, "; "))
			return
		}
		time.Sleep(time.Second)
	}
	w.happened("at rest")
	if w.service.now.Recovery().Recovering {
		return
	}
	configuration, _ := w.service.now.Configuration()
	missing := strings.Join(w.service.now.Status().Pending, "\n")
	for _, app := range w.apps {
		if configuration.Applications[app.name].Node == "" || strings.Contains(missing, string(app.name)) {
			continue
		}
		for _, h := range w.hosts[:w.options.Hosts] {
			for k := range 3 {
				if !w.answers(h, app, query{key: fmt.Sprint("k", k)}) {
					w.breached("%s does not answer by way of %s, though the cluster is at rest", app.name, h.name)
				}
			}
		}
	}
}

// answers reports whether a register answers by way of a host. A proxy that has just started refuses.
func (w *world) answers(h *host, app *register, q query) bool {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if w.ask(100, h, app, q, 30*time.Second) == answered {
			return true
		}
	}
	return false
}

// pending is what keeps the cluster from being at rest.
func (w *world) pending() []string {
	w.service.mu.Lock()
	svc := w.service.now
	w.service.mu.Unlock()
	if svc == nil {
		return []string{"the control service is down"}
	}
	if svc.Recovery().Recovering {
		if w.options.Without["accept"] {
			return nil // what it waits for is an operator, and nobody can say here what is right
		}
		return []string{"the store has gone back, and nobody has accepted that"}
	}
	status := svc.Status()
	pending := slices.DeleteFunc(status.Pending, func(what string) bool {
		return slices.ContainsFunc(w.apps, func(app *register) bool { return strings.Contains(what, string(app.name)) && w.forPeople(app, what) })
	})
	for _, m := range status.Moves {
		if !m.Phase.Ended() {
			pending = append(pending, fmt.Sprintf("move of %s: %s: %s", m.Name, m.Phase, m.Reason))
		}
	}
	return pending
}

// forPeople reports whether what is missing of a register is for people to find out: since the store went back nobody
// can say who owns its volume, or it was deleted or lost in what the store does not know any more.
func (w *world) forPeople(app *register, what string) bool {
	return strings.Contains(what, "nobody is told to write it") ||
		w.intended(app.volume, func(i *intent) bool { return i.accepted && (i.deleted || i.lost) || i.deleted && i.lost })
}

// checkHistories checks that what clients were answered is what registers answer: no acknowledged write is
// lost.
func (w *world) checkHistories() {
	for _, app := range w.apps {
		result, _ := porcupine.CheckOperationsVerbose(model, app.history, 10*time.Second)
		if result == porcupine.Illegal {
			w.breached("no acknowledged write is lost: what clients of %s were answered fits no order of their requests", app.name)
		}
	}
}
