package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence"
	"github.com/drover/drover/convergence/handoff"
	runtimemem "github.com/drover/drover/convergence/runtime/mem"
	"github.com/drover/drover/internal/sleep"
	"github.com/drover/drover/volume"
	volumemem "github.com/drover/drover/volume/mem"

	"github.com/drover/drover/convergence/runtime"
)

// quiet is where the processes of the cluster log to: what matters is in the trace.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// A host is a machine. Its disk outlives everything, its applications outlive the agent.
type host struct {
	world   *world
	name    string         // its own, on the network and in the trace
	id      cluster.NodeID // what its agent says that it is: a clone has that of another host
	address string
	disk    *volumemem.Backend
	apps    *runtimemem.Runtime
	proxy   *router
	clock   *clock
	handoff handoff.Options

	mu          sync.Mutex
	on, gone    bool // gone: for good
	eras, lives int
	dir         string // what the agent has on disk
	dirs        int
	life        *life // nil: no agent runs
	containers  []*container
	ailments    map[string]bool
	hangs       bool                          // the next call that can hang does
	down        map[cluster.AppName]time.Time // the applications that have ended by themselves
}

func newHost(w *world, name string) *host {
	h := &host{world: w, name: name, id: cluster.NodeID(name), address: fmt.Sprintf("10.0.0.%d", 1+len(w.hosts)), disk: volumemem.New(), proxy: newRouter(),
		clock: newClock(w, name), ailments: map[string]bool{}, down: map[cluster.AppName]time.Time{}}
	h.disk.Clock = h.clock.now
	policies := []handoff.Policy{handoff.CutOver, handoff.CutOver, handoff.CutOver, handoff.Wait, handoff.Fail}
	h.handoff = handoff.Options{ProgressPatience: 90 * time.Second, WaitPatience: 2 * time.Minute, OverBudget: policies[w.dice("policy of "+name).below(len(policies))]}
	h.apps = runtimemem.New(func(runtime.Spec) runtimemem.Behaviour {
		d := w.dice("applications of " + name)
		return runtimemem.Behaviour{Boot: d.between(10*time.Millisecond, 2*time.Second), Stop: d.between(time.Millisecond, time.Second)}
	})
	h.apps.Clock = h.clock.now
	h.dir = filepath.Join(w.dir, name)
	if err := os.Mkdir(h.dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	return h
}

// A life is one process of a host's agent, from its start to its crash. What it still does after that has
// no effect on anything.
type life struct {
	host  *host
	name  string // the instance token
	began time.Time
	ctx   context.Context
	end   context.CancelCauseFunc
	agent *convergence.Agent
	told  cluster.Assignment // the last one; its poll alone uses it

	mu   sync.Mutex
	fuse int // how many actions are left until it crashes; zero: not lit
}

func (l *life) dead() bool { return l.ctx.Err() != nil }

// light lets the life crash after so many more actions.
func (l *life) light(actions int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fuse = actions
}

// burn is the passing of a point where the process may crash.
func (l *life) burn() {
	l.mu.Lock()
	out := l.fuse == 1
	l.fuse = max(0, l.fuse-1)
	l.mu.Unlock()
	if out {
		l.host.crash("at a point")
	}
}

// act does something that changes the world. The process may crash just before it and just after.
func (l *life) act(ctx context.Context, what string, do func() error) error {
	if ctx.Err() != nil { // who asks all the same, or does not, must make no difference
		return ctx.Err()
	}
	d := l.host.world.dice("agent of " + l.host.name + " " + what)
	if sleep.For(ctx, d.between(10*time.Microsecond, time.Millisecond)) != nil {
		return ctx.Err()
	}
	l.burn()
	if l.dead() {
		return errCrashed
	}
	err := do()
	if l.dead() {
		return errCrashed
	}
	if err == nil {
		l.host.world.happened("%s: %s", l.host.name, what)
	} else {
		l.host.world.happened("%s: %s: %v", l.host.name, what, err)
	}
	l.burn()
	if l.dead() {
		return errCrashed
	}
	return err
}

// powerOn boots the host.
func (h *host) powerOn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.on || h.gone {
		return
	}
	h.on = true
	h.eras++
	h.start()
}

// powerOff takes the power away.
func (h *host) powerOff() {
	h.crash("with its host")
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.on {
		h.on = false
		h.apps.PowerOff()
		h.disk.Reboot()
		h.containers = nil
		clear(h.down)
	}
}

// revive starts the agent if the host is on and it does not run.
func (h *host) revive() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.on && h.life == nil {
		h.start()
	}
}

// start begins a life of the agent. The caller holds mu.
func (h *host) start() {
	h.lives++
	l := &life{host: h, name: fmt.Sprint(h.name, " ", h.lives), began: time.Now()}
	l.ctx, l.end = context.WithCancelCause(context.Background())
	backend := storage{h.disk, l}
	l.agent = &convergence.Agent{
		Node: cluster.Node{ID: h.id, Name: string(h.id), Address: h.address, TransferAddress: h.address + ":4524", TransferKey: "key of " + string(h.id),
			Era: fmt.Sprint("era ", h.eras, " of ", h.name), Seat: fmt.Sprint(h.name, " in era ", h.eras), Backend: "mem", Runtime: "mem", Capabilities: volume.Capabilities(h.disk), Version: "sim"},
		Backend: backend, Runtime: applications{h.apps, l}, Transport: carrier{l}, Control: link{l}, Routes: h.proxy,
		Dir: h.dir, Log: quiet, Engine: h, Handoff: h.handoff, Clock: h.clock.now, TrashGrace: trashGrace,
	}
	if err := l.agent.Start(); err != nil {
		h.world.breached("the agent of %s does not start: %v", h.name, err)
	}
	h.life = l
	h.world.go_(func() {
		if err := l.agent.Run(l.ctx); err != nil && !l.dead() {
			h.world.breached("the agent of %s gave up: %v", h.name, err)
		}
	})
}

// crash ends the agent at once, and its proxy with it.
func (h *host) crash(how string) {
	h.mu.Lock()
	l := h.life
	if l == nil {
		h.mu.Unlock()
		return
	}
	h.life = nil
	l.end(errCrashed)
	h.proxy.close()
	was := h.dir
	h.dirs++
	h.dir = filepath.Join(h.world.dir, fmt.Sprintf("%s-%d", h.name, h.dirs))
	if err := os.CopyFS(h.dir, os.DirFS(was)); err != nil {
		h.world.t.Error(err)
	}
	h.mu.Unlock()
	h.world.happened("%s: the agent crashes %s", h.name, how)
}

// alive returns the agent's life, nil if there is none.
func (h *host) alive() *life {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.life
}

// holds reports whether there is a copy of a volume, and isOpen whether that is open.
func (h *host) holds(id cluster.VolumeID) bool {
	return h.copies(func(c volume.Copy) bool { return c.Volume == id })
}

func (h *host) isOpen(id cluster.VolumeID) bool {
	return h.copies(func(c volume.Copy) bool { return c.Volume == id && c.Open })
}

// holds reports whether any host has a copy of a register's volume.
func (w *world) holds(app *register) bool {
	return slices.ContainsFunc(w.hosts, func(h *host) bool { return h.holds(app.volume) })
}

func (h *host) copies(like func(volume.Copy) bool) bool {
	copies, _ := h.disk.Copies(context.Background())
	return slices.ContainsFunc(copies, like)
}

func (h *host) powered() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.on
}
