// Package mounts keeps who uses the volumes of this node besides Drover's own applications: the
// containers that people, or Compose, had Docker start.
//
//	registry, err := mounts.Open(dir, era)
//	err = registry.Take(mounts.Source{ID: id, Name: "pgdata", Path: path}, mount, "web")
//	err = registry.Block(id, why)      // refused while somebody uses it; until Unblock nobody begins to
//	err = registry.Drop(mount, call)
//
// Docker gives each use, a mount, an id of its own, and says when it begins and when it ends. What it
// said is on disk, a file per volume, since nobody says it again after a crash:
//
//	dir/<volume id>.json
//
// Docker counts: while a container runs, `docker cp` mounts its volumes again by the same ids, and
// unmounts them. A use has ended when it has done so as often as it began.
//
// Whoever takes a use first and then looks whether the volume is here and open is safe from all who
// block it first and then close it. The package opens and closes nothing itself.
package mounts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// Dir is the name of the directory below that of an agent.
const Dir = "uses"

// A Source is what is used.
type Source struct {
	ID   cluster.VolumeID `json:"id"`
	Name string           `json:"name"`
	// Path is where it is on this node.
	Path string `json:"path"`
}

// A Use is one mount of a volume.
type Use struct {
	// Since is when it last began, or its container was told where the volume is; zero: that ran already.
	Since time.Time `json:"since"`
	// Container is the name of who uses it, if that could be told.
	Container string `json:"container,omitempty"`
	// Again is how often it has begun again since, and not ended.
	Again int `json:"again,omitempty"`
	// Ended are the last calls that said that it ended once.
	Ended [lastCalls]string `json:"ended,omitzero"`
}

// lastCalls is how many calls are remembered: one that comes again does so before the next one, or soon after.
const lastCalls = 8

// A Volume is a volume with its uses, by the ids of their mounts.
type Volume struct {
	Source Source `json:"volume"`
	// Era is the boot of the host in which they began: none outlives it.
	Era  string         `json:"era"`
	Uses map[string]Use `json:"uses"`
}

// A Registry is the volumes of one node. Use Open.
type Registry struct {
	dir, era string

	mu      sync.Mutex // nobody else's code runs under it
	volumes map[cluster.VolumeID]Volume
	blocked map[cluster.VolumeID]error
	// starting is how many containers wait for their volumes.
	starting int
}

// Open reads what is kept in dir. Uses of an earlier era have ended with it.
func Open(dir, era string) (*Registry, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := &Registry{dir: dir, era: era, volumes: map[cluster.VolumeID]Volume{}, blocked: map[cluster.VolumeID]error{}}
	volumes, err := Read(dir)
	for _, v := range volumes {
		if v.Era == era {
			r.volumes[v.Source.ID] = v
		} else {
			err = errors.Join(err, os.Remove(r.file(v.Source.ID)))
		}
	}
	return r, err
}

// Read returns the volumes in dir, also for a process that does not own them. With an error it returns
// those that it could read.
func Read(dir string) ([]Volume, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var volumes []Volume
	var errs []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // ended since
		}
		var v Volume
		if err == nil {
			v, err = parse(filepath.Base(file), text)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", file, err))
			continue
		}
		volumes = append(volumes, v)
	}
	return volumes, errors.Join(errs...)
}

// parse reads the file of that name. What is in it must be of the volume that the name says: files are
// written and removed by it.
func parse(name string, text []byte) (v Volume, err error) {
	if err := durable.ParseJSON(text, &v); err != nil {
		return v, err
	}
	if string(v.Source.ID)+".json" != name {
		return v, fmt.Errorf("%w: it is of volume %s", cluster.ErrInvalid, cluster.Shown(string(v.Source.ID)))
	}
	for mount, use := range v.Uses {
		if use.Again < 0 {
			return v, fmt.Errorf("%w: use %s has ended more often than it began", cluster.ErrInvalid, cluster.Shown(mount))
		}
	}
	return v, nil
}

func (r *Registry) file(id cluster.VolumeID) string { return filepath.Join(r.dir, string(id)+".json") }

// Start has Rebuild end no use until what it returns is called: a container waits for its volumes, one
// after another, and is not seen to use the first ones meanwhile.
func (r *Registry) Start() (done func()) {
	r.count(1)
	return func() { r.count(-1) }
}

func (r *Registry) count(starting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starting += starting
}

// Take notes that a use begins, or begins again. It is durable when Take returns. While the volume is
// blocked the result is why.
func (r *Registry) Take(s Source, mount, container string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why := r.blocked[s.ID]; why != nil {
		return why
	}
	use, taken := r.volumes[s.ID].Uses[mount]
	if taken {
		use.Again++
	} else {
		use.Container = container
	}
	use.Since = time.Now()
	return r.set(s, mount, use)
}

// Renew notes that the container of a use is told only now where the volume is. It reports false if
// there is no such use any more.
func (r *Registry) Renew(id cluster.VolumeID, mount string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.volumes[id]
	use, taken := v.Uses[mount]
	if !taken {
		return false, nil
	}
	use.Since = time.Now()
	return true, r.set(v.Source, mount, use)
}

// Drop notes that a use has ended, as often as it was taken, and once for each call: an empty one is no
// other's. A use that is not known has ended.
func (r *Registry) Drop(mount, call string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.volumes {
		use, taken := v.Uses[mount]
		switch {
		case taken && call != "" && slices.Contains(use.Ended[:], call):
			return nil // its answer was lost
		case taken && use.Again > 0:
			use.Again--
			copy(use.Ended[1:], use.Ended[:])
			use.Ended[0] = call
			return r.set(v.Source, mount, use)
		case taken:
			return r.end(v, mount)
		}
	}
	return nil
}

// Block keeps new uses of a volume away until Unblock: why is what they are told. If it is used the
// result is cluster.ErrConflict, which says by whom.
func (r *Registry) Block(id cluster.VolumeID, why error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if users := r.users(id); len(users) > 0 {
		return fmt.Errorf("%w: in use by %s", cluster.ErrConflict, strings.Join(users, ", "))
	}
	r.blocked[id] = why
	return nil
}

// Unblock undoes Block.
func (r *Registry) Unblock(id cluster.VolumeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.blocked, id)
}

// Users says who uses a volume, each as part of a sentence: first those that have a name.
func (r *Registry) Users(id cluster.VolumeID) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.users(id)
}

func (r *Registry) users(id cluster.VolumeID) []string {
	var named, nameless []string
	for mount, use := range r.volumes[id].Uses {
		if use.Container != "" {
			named = append(named, "container "+use.Container)
		} else {
			nameless = append(nameless, fmt.Sprintf("a container (mount %.12s)", mount))
		}
	}
	slices.Sort(named)
	slices.Sort(nameless)
	return append(slices.Compact(named), nameless...)
}

// set writes a use to disk and then to memory. The caller holds mu.
func (r *Registry) set(s Source, mount string, use Use) error {
	v := Volume{Source: s, Era: r.era, Uses: maps.Clone(r.volumes[s.ID].Uses)}
	if v.Uses == nil {
		v.Uses = map[string]Use{}
	}
	v.Uses[mount] = use
	return r.write(v)
}

// end takes a use away. The caller holds mu.
func (r *Registry) end(v Volume, mount string) error {
	v.Uses = maps.Clone(v.Uses)
	delete(v.Uses, mount)
	if len(v.Uses) > 0 {
		return r.write(v)
	}
	if err := os.Remove(r.file(v.Source.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(r.volumes, v.Source.ID)
	return nil
}

func (r *Registry) write(v Volume) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(r.file(v.Source.ID), text, 0o600); err != nil {
		return err
	}
	r.volumes[v.Source.ID] = v
	return nil
}
