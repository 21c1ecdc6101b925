// Package mem runs applications in memory: for tests of what stands above a runtime, on fake time.
//
//	r := mem.New(func(spec runtime.Spec) mem.Behaviour { return mem.Behaviour{Boot: time.Second} })
//	spec, up := r.Serving("10.0.0.1:20000")   // who answers there now
//	r.Crash("db", 1)                          // as an application that ends by itself
//	r.PowerOff()                              // as a host that loses its power
//	r.Lack("web:1")                           // as a host without an image, and without a way to its registry
//
// An application is a definition and a few times; what it answers, a test decides by Serving. It keeps
// the contract of package runtime, but has no output and no data of its own.
package mem

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// Behaviour is how an application behaves. The zero value starts and stops at once.
type Behaviour struct {
	// Boot is how long it runs before it is healthy, and Stop how long it takes to end when asked.
	Boot, Stop time.Duration
	// Exits: it ends with status 1 instead of becoming healthy.
	Exits bool
}

// A Runtime runs applications in memory. It implements runtime.Runtime. Use New.
type Runtime struct {
	// Clock dates what happens: time.Now.
	Clock func() time.Time

	behave  func(runtime.Spec) Behaviour
	changed chan struct{} // has room for one

	mu        sync.Mutex
	instances map[cluster.AppName]*instance
	ports     map[string]int // of each application and internal port, kept for good
	lacks     map[string]bool
}

type instance struct {
	runtime.Instance
	spec runtime.Spec
	run  int // counts the starts
}

// New returns a runtime without instances. Behave is asked at each start; nil is the zero Behaviour.
func New(behave func(runtime.Spec) Behaviour) *Runtime {
	if behave == nil {
		behave = func(runtime.Spec) Behaviour { return Behaviour{} }
	}
	return &Runtime{behave: behave, changed: make(chan struct{}, 1),
		instances: map[cluster.AppName]*instance{}, ports: map[string]int{}}
}

func (r *Runtime) now() time.Time {
	if r.Clock != nil {
		return r.Clock()
	}
	return time.Now()
}

// Name implements runtime.Runtime.
func (r *Runtime) Name() string { return "mem" }

// Changed implements runtime.Runtime.
func (r *Runtime) Changed() <-chan struct{} { return r.changed }

// Instances implements runtime.Runtime.
func (r *Runtime) Instances(context.Context) ([]runtime.Instance, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []runtime.Instance
	for _, i := range r.instances {
		all = append(all, i.Instance)
	}
	slices.SortFunc(all, func(a, b runtime.Instance) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return all, nil
}

// Serving returns the spec of the application that runs and answers at an endpoint now.
func (r *Runtime) Serving(endpoint string) (runtime.Spec, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range r.instances {
		for _, at := range i.Endpoints {
			if at == endpoint && i.Running && i.Healthy {
				return i.spec, true
			}
		}
	}
	return runtime.Spec{}, false
}

// Check implements runtime.Runtime: anything can run.
func (r *Runtime) Check(context.Context, runtime.Spec) error { return nil }

// Owner implements runtime.Runtime: the agent's own account.
func (r *Runtime) Owner(cluster.Application) (uid, gid int, err error) {
	return os.Getuid(), os.Getgid(), nil
}

// Create implements runtime.Runtime.
func (r *Runtime) Create(_ context.Context, spec runtime.Spec) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := spec.Application.Name
	was := r.instances[name]
	switch {
	case was != nil && was.Fingerprint == spec.Fingerprint() && was.Epoch == spec.Epoch:
		return nil
	case was != nil && was.Running:
		return fmt.Errorf("create %s: %w: it runs with another definition", name, cluster.ErrConflict)
	case r.lacks[spec.Application.Image]:
		return fmt.Errorf("create %s: %w", name, lacking(spec.Application.Image))
	}
	i := &instance{spec: spec, Instance: runtime.Instance{Name: name, Epoch: spec.Epoch, Fingerprint: spec.Fingerprint(),
		Endpoints: map[int]string{}}}
	if spec.Application.Volume != nil {
		i.Volume = spec.Application.Volume.Volume
	}
	for _, p := range spec.Application.Ports {
		i.Endpoints[p.Internal] = net.JoinHostPort(spec.PublishAddress(), strconv.Itoa(r.port(name, p.Internal)))
	}
	r.instances[name] = i
	return nil
}

// port is the one that an application's own is reached at. The caller holds mu.
func (r *Runtime) port(name cluster.AppName, internal int) int {
	key := fmt.Sprintf("%s/%d", name, internal)
	if r.ports[key] == 0 {
		r.ports[key] = 20_000 + len(r.ports)
	}
	return r.ports[key]
}

// Start implements runtime.Runtime.
func (r *Runtime) Start(_ context.Context, name cluster.AppName) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, err := r.find(name)
	if err != nil || i.Running {
		return err
	}
	i.Running, i.Healthy, i.Asked, i.Started, i.Ended, i.Reason = true, false, false, r.now(), time.Time{}, ""
	i.run++
	b, run := r.behave(i.spec), i.run
	time.AfterFunc(b.Boot, func() { r.booted(i, run, b.Exits) })
	return nil
}

// booted is what becomes of an application once it has started.
func (r *Runtime) booted(i *instance, run int, exits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i.run != run || !i.Running {
		return
	}
	if exits {
		r.end(i, 1, false, "exited with status 1")
	} else {
		i.Healthy = true
	}
	r.tell()
}

// Stop implements runtime.Runtime.
func (r *Runtime) Stop(ctx context.Context, name cluster.AppName) error {
	r.mu.Lock()
	i, err := r.find(name)
	if err != nil || !i.Running {
		r.mu.Unlock()
		return err
	}
	takes, run, patience := r.behave(i.spec).Stop, i.run, i.spec.Application.Stop.Patience()
	r.mu.Unlock()
	select {
	case <-time.After(min(takes, patience)):
	case <-ctx.Done():
		return ctx.Err()
	}
	if takes > patience {
		return fmt.Errorf("stop %s: %w after %s", name, runtime.ErrStillRunning, patience)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i.run == run && i.Running {
		r.end(i, 0, true, "exited with status 0")
	}
	return nil
}

// Kill implements runtime.Runtime.
func (r *Runtime) Kill(_ context.Context, name cluster.AppName) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, err := r.find(name)
	if err == nil && i.Running {
		r.end(i, 137, true, "killed by SIGKILL")
	}
	return err
}

// Crash ends an application as if by itself.
func (r *Runtime) Crash(name cluster.AppName, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.instances[name]; i != nil && i.Running {
		r.end(i, status, false, fmt.Sprintf("exited with status %d", status))
		r.tell()
	}
}

// PowerOff ends all applications, as a host does that loses its power.
func (r *Runtime) PowerOff() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range r.instances {
		if i.Running {
			r.end(i, 137, true, "its host went down")
		}
	}
}

// end notes the end of an instance. The caller holds mu.
func (r *Runtime) end(i *instance, status int, asked bool, reason string) {
	i.Running, i.Healthy, i.Asked, i.Ended, i.ExitStatus, i.Reason = false, false, asked, r.now(), status, reason
}

// Remove implements runtime.Runtime.
func (r *Runtime) Remove(_ context.Context, name cluster.AppName) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.instances[name]; i != nil && i.Running {
		return fmt.Errorf("remove %s: %w: it runs", name, cluster.ErrConflict)
	}
	delete(r.instances, name)
	return nil
}

// Exec implements runtime.Runtime: any command succeeds at once.
func (r *Runtime) Exec(_ context.Context, name cluster.AppName, _ []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.find(name)
	return err
}

// Logs implements runtime.Runtime: there is no output.
func (r *Runtime) Logs(_ context.Context, name cluster.AppName, _ bool) (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.find(name)
	return io.NopCloser(strings.NewReader("")), err
}

// find returns an instance. The caller holds mu.
func (r *Runtime) find(name cluster.AppName) (*instance, error) {
	if i := r.instances[name]; i != nil {
		return i, nil
	}
	return nil, fmt.Errorf("application %s: %w on this node", name, cluster.ErrNotFound)
}

// tell says that something changed. The caller holds mu.
func (r *Runtime) tell() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}
