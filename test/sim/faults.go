package sim

import (
	"context"
	"time"
)

// A fault is something that goes wrong.
type fault struct {
	name  string
	often int
	do    func(w *world, d *dice, h *host)
}

// faults are all there are, besides messages and answers that are lost now and then.
var faults = []fault{
	{"crash", 4, func(w *world, d *dice, h *host) { h.crash("now"); w.later(d, h.revive) }},
	{"fuse", 6, func(w *world, d *dice, h *host) {
		if l := h.alive(); l != nil {
			l.light(1 + d.below(25))
			w.later(d, h.revive)
		}
	}},
	{"power", 3, func(w *world, d *dice, h *host) {
		h.powerOff()
		w.happened("%s: the power is gone", h.name)
		w.later(d, h.powerOn)
	}},
	{"control", 3, func(w *world, d *dice, _ *host) {
		w.service.stop()
		w.happened("the control service crashes")
		w.later(d, w.service.start)
	}},
	{"partition", 4, func(w *world, d *dice, h *host) {
		others := []string{control}
		for _, other := range w.hosts {
			others = append(others, other.name)
		}
		other := others[d.below(len(others))]
		w.net.set(h.name, other, true)
		if !d.one(3) {
			w.net.set(other, h.name, true)
		}
		w.happened("%s and %s are cut off from each other", h.name, other)
		w.later(d, func() { w.net.set(h.name, other, false); w.net.set(other, h.name, false) })
	}},
	{"backup", 2, func(w *world, _ *dice, _ *host) { w.service.backUp() }},
	{"restore", 1, func(w *world, d *dice, _ *host) {
		w.service.stop()
		w.service.restore()
		w.later(d, w.service.start)
	}},
	{"clock", 3, func(w *world, d *dice, h *host) {
		c, of := h.clock, h.name
		if d.one(4) {
			c, of = w.service.clock, control
		}
		by := jump(d)
		c.jump(by)
		w.happened("%s: its clock is set by %s", of, by)
		if c == h.clock && d.one(2) { // it shows that when it is started
			h.crash("as its clock is set")
			w.later(d, h.revive)
		}
		if d.one(2) {
			w.later(d, func() { c.jump(-by); w.happened("%s: its clock is set right", of) })
		}
	}},
	{"deaf", 2, func(w *world, d *dice, h *host) {
		w.net.setDeaf(h.name, true)
		w.happened("%s makes no new connection to the control service", h.name)
		w.later(d, func() { w.net.setDeaf(h.name, false) })
	}},
	{"hang", 4, func(w *world, _ *dice, h *host) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.hangs = true
	}},
	{"sick", 1, func(w *world, d *dice, h *host) { w.ail(d, h, "sick") }},
	{"full", 1, func(w *world, d *dice, h *host) { w.ail(d, h, "full") }},
	{"lose", 1, func(w *world, d *dice, h *host) { w.lose(h, w.apps[d.below(len(w.apps))]) }},
	{"clone", 1, func(w *world, d *dice, h *host) { w.clone(h) }},
	{"bug", 3, func(w *world, d *dice, h *host) {
		instances, _ := h.apps.Instances(context.Background())
		for _, i := range instances {
			if i.Running && d.one(2) {
				h.apps.Crash(i.Name, 1)
				h.ended(i.Name, true)
				w.happened("%s: %s crashes", h.name, i.Name)
			}
		}
	}},
}

// disturb lets things go wrong until the world is calm.
func (w *world) disturb() {
	d := w.dice("faults")
	var bag []fault
	for _, f := range faults {
		for range f.often {
			bag = append(bag, f)
		}
	}
	for w.wait(d.between(500*time.Millisecond, 15*time.Second)) && !w.calmNow() {
		f, h := bag[d.below(len(bag))], w.hosts[d.below(len(w.hosts))]
		if !w.without(f.name) {
			f.do(w, d, h)
		}
	}
}

// later mends something after a while.
func (w *world) later(d *dice, mend func()) {
	after := d.between(10*time.Millisecond, 25*time.Second)
	w.go_(func() {
		w.wait(after)
		select {
		case <-w.ending:
		default:
			mend()
		}
	})
}
