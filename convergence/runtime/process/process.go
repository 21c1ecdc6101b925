// Package process runs applications as plain processes of the host: no image, no isolation, but
// also nothing to install.
//
//	r, err := process.Open(process.Options{Dir: "/var/lib/drover/runtime"})
//	err = r.Create(ctx, spec)
//	err = r.Start(ctx, "db")
//
// An application outlives the agent that started it. Its output goes straight to a file, so that
// it neither blocks nor dies when nobody reads; a new Runtime over the same directory finds it
// again by its process id with start time and, should a crash have come between the start and
// the record of it, by a token in its environment:
//
//	Dir/db/spec.json     what it was made from, its token and its ports
//	Dir/db/record.json   its process, or how it ended
//	Dir/db/output.log    what it wrote; older output in output.log.1 ...
//
// All processes that carry the token belong to the instance, also those that left its session.
// The package does not decide whether an application that ended is started again.
package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// Options are where instances are kept.
type Options struct {
	// Dir keeps one directory per instance. Only one Runtime may use it at a time.
	Dir string
	// Log may be nil.
	Log *slog.Logger
}

// A Runtime runs processes. It implements runtime.Runtime.
type Runtime struct {
	dir     string
	log     *slog.Logger
	changed chan struct{} // has room for one
	ctx     context.Context
	cancel  context.CancelFunc
	watches sync.WaitGroup

	mu        sync.Mutex
	instances map[cluster.AppName]*instance
}

// Open finds the instances below the directory again, running or not.
func Open(o Options) (*Runtime, error) {
	// Applications of other users need not get in here: their output is opened for them.
	if err := errors.Join(os.MkdirAll(o.Dir, 0o700), os.Chmod(o.Dir, 0o700)); err != nil {
		return nil, err
	}
	r := &Runtime{dir: o.Dir, log: o.Log, changed: make(chan struct{}, 1), instances: map[cluster.AppName]*instance{}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		i, err := r.load(filepath.Join(o.Dir, entry.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a Create that was cut short
		}
		if err != nil {
			return nil, fmt.Errorf("open instance %s: %w", entry.Name(), err)
		}
		r.instances[i.made.Spec.Application.Name] = i
	}
	return r, nil
}

// Close ends the watching of instances. Applications run on.
func (r *Runtime) Close() error {
	r.cancel()
	r.watches.Wait()
	return nil
}

// Name is "process".
func (r *Runtime) Name() string { return "process" }

// Changed implements runtime.Runtime.
func (r *Runtime) Changed() <-chan struct{} { return r.changed }

func (r *Runtime) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Instances implements runtime.Runtime.
func (r *Runtime) Instances(context.Context) ([]runtime.Instance, error) {
	r.mu.Lock()
	all := make([]*instance, 0, len(r.instances))
	for _, i := range r.instances {
		all = append(all, i)
	}
	r.mu.Unlock()
	seen := make([]runtime.Instance, len(all))
	for n, i := range all {
		seen[n] = i.state()
	}
	slices.SortFunc(seen, func(a, b runtime.Instance) int { return cmp.Compare(a.Name, b.Name) })
	return seen, nil
}

// Check implements runtime.Runtime.
func (r *Runtime) Check(_ context.Context, spec runtime.Spec) error {
	app := spec.Application
	if len(app.Command) == 0 {
		return fmt.Errorf("%w: %s has no command_line: the process runtime runs commands, not images", cluster.ErrUnsupported, app.Name)
	}
	uid, _, err := runtime.Account(app.User)
	if err != nil {
		return err
	}
	if os.Getuid() != 0 && uid != os.Getuid() {
		return fmt.Errorf("%w: %s wants to run as %s, and this agent is not root", cluster.ErrRefused, app.Name, app.User)
	}
	if _, err := exec.LookPath(app.Command[0]); err != nil {
		return fmt.Errorf("%w: the command of %s: %w", cluster.ErrRefused, app.Name, err)
	}
	return nil
}

// Owner implements runtime.Runtime.
func (r *Runtime) Owner(app cluster.Application) (uid, gid int, err error) {
	return runtime.Account(app.User)
}

// Create implements runtime.Runtime.
func (r *Runtime) Create(ctx context.Context, spec runtime.Spec) error {
	name := spec.Application.Name
	if !cluster.ValidName(string(name)) {
		return fmt.Errorf("%w: %q is no name of an application", cluster.ErrInvalid, name)
	}
	if err := r.Check(ctx, spec); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.instances[name]; old != nil {
		switch state := old.state(); {
		case state.Fingerprint == spec.Fingerprint() && state.Epoch == spec.Epoch:
			return nil
		case state.Running:
			return fmt.Errorf("%w: %s runs with another definition", cluster.ErrConflict, name)
		}
	}
	i, err := r.make(spec)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	r.instances[name] = i
	r.signal()
	return nil
}

// Remove implements runtime.Runtime.
func (r *Runtime) Remove(_ context.Context, name cluster.AppName) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.instances[name]
	if i == nil {
		return nil
	}
	if i.state().Running {
		return fmt.Errorf("%w: %s is running", cluster.ErrConflict, name)
	}
	if err := os.RemoveAll(i.dir); err != nil {
		return err
	}
	delete(r.instances, name)
	r.signal()
	return nil
}

func (r *Runtime) find(name cluster.AppName) (*instance, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.instances[name]; i != nil {
		return i, nil
	}
	return nil, fmt.Errorf("application %s: %w on this node", name, cluster.ErrNotFound)
}
