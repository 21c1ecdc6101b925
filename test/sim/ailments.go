package sim

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Things do not work on a host, for long: an application does not start there, or there is no room. That
// keeps nothing from leaving, and once it has, all is well.

var (
	errFull = errors.New("no space left on device")
	errSick = errors.New("it cannot start here")
)

// ail makes something not work with a volume on a host: "sick" or "full".
func (h *host) ail(how string, id cluster.VolumeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ailments[how+string(id)] = true
}

func (h *host) ails(how string, id cluster.VolumeID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ailments[how+string(id)]
}

// heal ends what did not work with a volume.
func (h *host) heal(id cluster.VolumeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.ailments, "sick"+string(id))
	delete(h.ailments, "full"+string(id))
}

// hang has the call of a life get no further, until whoever waits for it gives up.
func (l *life) hang(ctx context.Context, can bool) error {
	h := l.host
	h.mu.Lock()
	hangs := can && h.hangs
	if hangs {
		h.hangs = false
	}
	h.mu.Unlock()
	if !hangs {
		return nil
	}
	h.world.happened("%s: it hangs", h.name)
	<-ctx.Done()
	return context.Cause(ctx)
}

// outlast waits, in a cluster that is calm, until everything that can leave what does not work has left it.
func (w *world) outlast() {
	ailing := false
	for _, h := range w.hosts {
		h.mu.Lock()
		ailing = ailing || len(h.ailments) > 0
		h.mu.Unlock()
	}
	for second := range 100 {
		if !ailing || w.broken() {
			return
		}
		time.Sleep(time.Second)
		if svc := w.service.present(); svc != nil && second > 60 {
			for _, m := range svc.Moves() {
				// After the store went back, its source may have given that very attempt up once: then the next one
				// begins, and that may take as long as there are such attempts.
				if !m.Phase.Ended() && strings.Contains(m.Reason, "did not begin to ship") && !w.service.wentBack() {
					w.breached("a move ends: nothing is in the way of that of %s, and it does not begin: %s", m.Name, m.Reason)
				}
			}
		}
	}
	for _, h := range w.hosts {
		for _, app := range w.apps {
			h.heal(app.volume)
		}
	}
}

// watchApplications checks that an application that has ended by itself is started again, whatever else goes on.
func (w *world) watchApplications() {
	for w.wait(5 * time.Second) {
		var wanted cluster.Configuration
		// While the store may have gone back nobody knows what is wanted: what runs goes on, and no more.
		if svc := w.service.present(); svc != nil && !svc.Recovery().Recovering {
			wanted, _ = svc.Configuration()
		}
		for _, h := range w.all() {
			h.mu.Lock()
			l := h.life
			for name, since := range h.down {
				if wanted.Applications[name].Node == "" || h.ailments["sick"+string(cluster.VolumeIDForName(name))] {
					h.down[name] = time.Now() // nobody wants it, or has said so lately
				}
				if since = h.down[name]; l != nil && time.Since(since) > patience && time.Since(l.began) > patience {
					w.breached("what ends is started again: %s on %s is down for %s", name, h.name, time.Since(since).Round(time.Second))
				}
			}
			h.mu.Unlock()
		}
	}
}

// patience is how long an application that ended by itself may be down.
const patience = 40 * time.Second

// ail has something not work with a volume that a host has, until it leaves or for a while.
func (w *world) ail(d *dice, h *host, how string) {
	app := w.apps[d.below(len(w.apps))]
	if !h.holds(app.volume) {
		return
	}
	h.ail(how, app.volume)
	w.happened("%s: %s with %s", h.name, how, app.name)
	if d.one(2) {
		w.later(d, func() { h.heal(app.volume) })
	}
}

// lose takes the copy of an owner away, as somebody does who removes its files; only if there is another one to go
// on from.
func (w *world) lose(h *host, app *register) {
	left := slices.ContainsFunc(w.hosts, func(other *host) bool {
		return other != h && other.copies(func(c volume.Copy) bool { return c.Volume == app.volume && c.Role == cluster.Replica && c.Head != "" })
	})
	owns := h.copies(func(c volume.Copy) bool { return c.Volume == app.volume && c.Role == cluster.Primary })
	h.mu.Lock()
	used := len(h.containers) > 0
	h.mu.Unlock()
	if !left || !owns || used {
		return
	}
	app.intend(func(i *intent) { i.lost = true })
	h.disk.Lose(app.volume)
	w.happened("%s: the files of %s are removed", h.name, app.name)
}
