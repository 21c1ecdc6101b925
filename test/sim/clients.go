package sim

import (
	"context"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/sleep"
)

// A register is an application that keeps a few values in its volume, and what clients have seen of it.
type register struct {
	name   cluster.AppName
	volume cluster.VolumeID
	port   int
	stop   cluster.StopPolicy

	mu      sync.Mutex
	history []porcupine.Operation
	writes  int
	intent  intent
}

const internalPort = 7000

// keys are what clients ask for.
var keys = []string{"k0", "k1", "k2"}

func newRegister(n int) *register {
	name := cluster.AppName(fmt.Sprintf("reg%d", n))
	r := &register{name: name, volume: cluster.VolumeIDForName(name), port: 8000 + n, intent: newIntent()}
	if n%2 == 1 {
		r.stop.Before = []string{"write", "out"}
	}
	return r
}

// A query is what a client asks of a register: to write a value, or, if that is empty, to read. Or it is none, and
// the register becomes what an operator has asked for.
type query struct {
	key, write string
	becomes    bool
}

// An answer is a value, or that nobody knows.
type answer struct {
	value   string
	unknown bool
}

// fate is what became of a request.
type fate int

const (
	never    fate = iota // it was not delivered, and never will be
	perhaps              // nobody knows
	answered             // there was an answer
)

// use is the life of a client.
func (w *world) use(n int) {
	d := w.dice(fmt.Sprint("client ", n))
	for w.wait(d.between(50*time.Millisecond, time.Second)) {
		w.mu.Lock()
		app := w.apps[d.r.IntN(len(w.apps))]
		w.mu.Unlock()
		h := w.hosts[d.below(len(w.hosts))]
		q := query{key: keys[d.below(len(keys))]}
		if d.one(2) {
			app.mu.Lock()
			app.writes++
			q.write = fmt.Sprintf("%d by %d", app.writes, n)
			app.mu.Unlock()
		}
		w.ask(n, h, app, q, 10*time.Second)
	}
}

// ask has a client ask, and notes what became of it.
func (w *world) ask(client int, h *host, app *register, q query, patience time.Duration) fate {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	op := porcupine.Operation{ClientId: client, Input: q, Call: time.Since(w.began).Nanoseconds()}
	value, became := w.request(ctx, h, app, q)
	op.Return = time.Since(w.began).Nanoseconds()
	op.Output = answer{value: value}
	if became == perhaps {
		op.Return, op.Output = math.MaxInt64, answer{unknown: true}
	}
	if became != never {
		app.mu.Lock()
		app.history = append(app.history, op)
		app.mu.Unlock()
		w.happened("client %d: %s of %s by way of %s: %q %v", client, q, app.name, h.name, value, became == answered)
	}
	return became
}

func (q query) String() string {
	if q.write != "" {
		return fmt.Sprintf("write %s=%q", q.key, q.write)
	}
	return "read " + q.key
}

// request goes through the proxy of a host to the application.
func (w *world) request(ctx context.Context, h *host, app *register, q query) (string, fate) {
	for ctx.Err() == nil {
		l := h.alive()
		gate := h.proxy.gate(app.port)
		if l == nil || gate == nil {
			return "", never
		}
		view := gate.Look()
		if view.Phase.String() == "closed" {
			return "", never
		}
		if view.Phase.String() == "open" && view.Endpoint != "" {
			if value, became := w.deliver(ctx, l, view.Endpoint, app, q); became != never {
				return value, became
			}
			if sleep.For(ctx, 50*time.Millisecond) != nil {
				return "", never
			}
			continue
		}
		select {
		case <-view.Moved:
		case <-l.ctx.Done():
		case <-ctx.Done():
		}
	}
	return "", never
}

// deliver carries a request from a proxy to an endpoint, and the answer back.
func (w *world) deliver(ctx context.Context, from *life, endpoint string, app *register, q query) (string, fate) {
	address, _, err := net.SplitHostPort(endpoint)
	to := w.at(address)
	if err != nil || to == nil {
		return "", never
	}
	if w.net.send(ctx, from.host.name, to.name, "request") != nil {
		return "", never
	}
	spec, up := to.apps.Serving(endpoint)
	if !up || spec.Application.Volume == nil || spec.Application.Name != app.name {
		return "", never
	}
	// It has arrived. What happens now happens whether or not anybody waits for it.
	time.Sleep(w.dice("application "+string(app.name)).between(10*time.Microsecond, 20*time.Millisecond))
	if now, up := to.apps.Serving(endpoint); !up || now.Epoch != spec.Epoch {
		return "", perhaps
	}
	value, ok := app.serve(to, q)
	if !ok || w.net.send(context.Background(), to.name, from.host.name, "answer") != nil || from.dead() || ctx.Err() != nil {
		return "", perhaps
	}
	return value, answered
}

// serve is what the application does on a host. It reaches its data as long as they are there, as a
// program with open files does.
func (r *register) serve(on *host, q query) (string, bool) {
	if q.write != "" {
		return q.write, on.disk.Put(r.volume, q.key, []byte(q.write)) == nil
	}
	content, err := on.disk.Read(r.volume)
	return string(content[q.key]), err == nil
}

// model is what a register does, for porcupine.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		keys := map[string][]porcupine.Operation{}
		for _, op := range history {
			keys[op.Input.(query).key] = append(keys[op.Input.(query).key], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range keys {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		q, a := input.(query), output.(answer)
		if q.write != "" || q.becomes {
			return true, q.write
		}
		return a.unknown || a.value == state, state
	},
}
