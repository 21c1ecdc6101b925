// Package sim runs a whole cluster in one process on fake time, breaks it in every way that a seed
// chooses, and holds it against the promises.
//
//	breach := sim.Run(t, sim.Options{Seed: 7})
//
//	operators --\                  /-- agent of a -- backend, runtime, proxy
//	             > control service <--- agent of b -- ...
//	clients --> proxies            \-- agent of c -- ...
//	                 every arrow goes over a simulated network
//
// The control service, the agents and the gates of the proxies are the real ones. Storage, applications
// and the wire are in memory. Each call of an agent passes a point where the seed may end its process,
// its host or its connection. Clients write and read registers in the applications; what they were
// answered is checked by porcupine.
package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options are what a run is made of.
type Options struct {
	Seed uint64
	// Hosts is how many there are: 3.
	Hosts int
	// Trouble is how long operators and faults go on: 2 minutes of the cluster's time.
	Trouble time.Duration
	// Calm is how long the cluster has afterwards to come to rest: 6 minutes.
	Calm time.Duration
	// Without names faults and orders that this run leaves out.
	Without map[string]bool
	// Verbose receives what happens, line by line.
	Verbose func(line string)
}

// A Result is what came of a run.
type Result struct {
	Steps int
	// Breach is the first promise that did not hold, with what led to it; empty: all held.
	Breach string
	// Trace identifies everything that happened, in its order.
	Trace uint64
}

// A world is one run.
type world struct {
	t       *testing.T
	options Options
	began   time.Time
	dir     string

	mu      sync.Mutex
	streams map[string]*rand.Rand
	steps   int
	trace   []string
	breach  string
	calm    bool // no more faults

	net     *network
	service *service
	hosts   []*host
	apps    []*register
	ending  chan struct{}  // closed when everybody shall go home
	busy    sync.WaitGroup // those who must be home
}

func newWorld(t *testing.T, o Options) *world {
	if o.Hosts == 0 {
		o.Hosts = 3
	}
	if o.Trouble == 0 {
		o.Trouble = 2 * time.Minute
	}
	if o.Calm == 0 {
		o.Calm = 6 * time.Minute
	}
	dir, err := os.MkdirTemp(scratch(), "drover-sim-")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, options: o, began: time.Now(), dir: dir, streams: map[string]*rand.Rand{}, ending: make(chan struct{})}
	w.net = &network{world: w, cut: map[[2]string]bool{}, deaf: map[string]bool{}}
	w.service = newService(w)
	for n := range 2 {
		w.apps = append(w.apps, newRegister(n))
	}
	for i := range o.Hosts {
		w.hosts = append(w.hosts, newHost(w, string(rune('a'+i))))
	}
	return w
}

// scratch is where agents keep their files: in memory if there is such a place.
func scratch() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// Run makes a cluster, lets the seed have its way with it, and says which promise did not hold. It must be
// called in a bubble of testing/synctest.
func Run(t *testing.T, o Options) Result {
	w := newWorld(t, o)
	defer os.RemoveAll(w.dir)
	w.service.start()
	for _, h := range w.hosts {
		h.powerOn()
	}
	w.go_(w.disturb)
	w.go_(w.watchApplications)
	w.go_(w.dock)
	for n := range 2 {
		w.go_(func() { w.operate(n) })
	}
	for n := range 3 {
		w.go_(func() { w.use(n) })
	}
	w.wait(w.options.Trouble)
	w.becomeCalm()
	w.rest()
	close(w.ending)
	for _, h := range w.all() {
		h.powerOff()
	}
	w.service.stop()
	w.busy.Wait()
	w.checkHistories()
	return w.result()
}

// go_ runs part of the world until it goes home by itself.
func (w *world) go_(part func()) {
	w.busy.Add(1)
	go func() { defer w.busy.Done(); part() }()
}

// wait lets time go by, and reports whether the world still lasts.
func (w *world) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return !w.broken()
	case <-w.ending:
		return false
	}
}

// dice returns numbers for one purpose. Each purpose has a stream of its own, so that who comes first
// makes no difference to the others.
func (w *world) dice(purpose string) *dice {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.streams[purpose]
	if r == nil {
		h := fnv.New64a()
		h.Write([]byte(purpose))
		r = rand.New(rand.NewPCG(w.options.Seed, h.Sum64()))
		w.streams[purpose] = r
	}
	return &dice{w, r}
}

type dice struct {
	world *world
	r     *rand.Rand
}

// below returns a number from 0 to n-1.
func (d *dice) below(n int) int {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	return d.r.IntN(n)
}

// one reports true once in n times.
func (d *dice) one(n int) bool { return d.below(n) == 0 }

// between returns a time, with nanoseconds, so that hardly ever two things happen at the same instant.
func (d *dice) between(least, most time.Duration) time.Duration {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	return least + time.Duration(d.r.Int64N(int64(most-least)))
}

// happened notes what happened, and looks at the promises that hold at every instant.
func (w *world) happened(format string, args ...any) {
	line := fmt.Sprintf("%11.6fs ", time.Since(w.began).Seconds()) + fmt.Sprintf(format, args...)
	w.mu.Lock()
	w.steps++
	w.trace = append(w.trace, line)
	w.mu.Unlock()
	if w.options.Verbose != nil {
		w.options.Verbose(line)
	}
	w.checkInstant()
}

// breached notes that a promise did not hold. The first one counts.
func (w *world) breached(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.breach == "" {
		w.breach = fmt.Sprintf("%.6fs ", time.Since(w.began).Seconds()) + fmt.Sprintf(format, args...)
	}
}

func (w *world) broken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.breach != ""
}

// without reports whether a fault or an operator is left out.
func (w *world) without(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.options.Without[what] || w.calm
}

func (w *world) result() Result {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(w.trace, "\n")))
	r := Result{Steps: w.steps, Breach: w.breach, Trace: h.Sum64()}
	if r.Breach != "" {
		r.Breach += "\n  " + strings.Join(w.trace[max(0, len(w.trace)-40):], "\n  ")
	}
	return r
}

// at returns the host with that address; nil if there is none.
func (w *world) at(address string) *host {
	for _, h := range w.all() {
		if h.address == address {
			return h
		}
	}
	return nil
}

// all returns every host, with clones.
func (w *world) all() []*host {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.hosts)
}

// clone makes a second host of one, with the same identity and a copy of everything on its disk, as who
// copies a virtual machine does.
func (w *world) clone(of *host) {
	w.mu.Lock()
	taken := len(w.hosts) > w.options.Hosts
	w.mu.Unlock()
	if taken {
		return
	}
	h := newHost(w, of.name+"'")
	h.id, h.disk = of.id, of.disk.Fork()
	h.disk.Clock = h.clock.now
	h.disk.Reboot() // nothing on it is open there
	of.mu.Lock()
	err := os.CopyFS(h.dir, os.DirFS(of.dir))
	of.mu.Unlock()
	if err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	w.hosts = append(w.hosts, h)
	w.mu.Unlock()
	w.happened("%s: there is a clone of it", of.name)
	h.powerOn()
}
