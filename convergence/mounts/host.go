package mounts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/internal/sleep"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/inuse"
)

// Engine tells which containers there are. A docker.Engine is one.
type Engine interface {
	Containers(ctx context.Context) ([]runtime.Container, error)
}

// A Host lets the containers of a host use the volumes that its agent owns, once they are open. It is the
// agent for agentsocket. All fields but Engine must be set.
type Host struct {
	*Registry
	Backend volume.Backend
	// Engine is the one whose volume plugin asks.
	Engine Engine
	// Owned returns the volume of that name, or that id, if this node owns it for good.
	Owned func(name string) (cluster.OwnedVolume, error)
	// Trouble says what keeps a volume from being opened, as the end of a sentence.
	Trouble func(id cluster.VolumeID) string
	// Changed is called when who uses what may have changed.
	Changed func()
	Log     *slog.Logger
}

const (
	// lookAgain is the time between two looks at a volume that is about to be opened.
	lookAgain = 50 * time.Millisecond
	// rebuildTick is how often the uses of volumes are held against the engine's containers.
	rebuildTick = 10 * time.Second
	// engineWait bounds a question to an engine, and engineGlance one while a container waits.
	engineWait, engineGlance = 5 * time.Second, 500 * time.Millisecond
)

// Use notes that a container uses a volume, which this node must own, and returns its path once it
// is open. A volume that this node does not own is cluster.ErrNotFound. Mount is the id of the use.
func (h *Host) Use(ctx context.Context, name, mount string) (string, error) {
	defer h.Start()()
	var taken cluster.VolumeID
	for {
		path, err := h.use(ctx, name, mount, &taken)
		if err == nil {
			h.Changed()
			return path, nil
		}
		if errors.Is(err, cluster.ErrUnavailable) {
			select {
			case <-time.After(lookAgain):
				continue
			case <-ctx.Done():
			}
		}
		if taken != "" {
			err = errors.Join(err, h.Drop(mount, "")) // what this call took, and no more
		}
		return "", err
	}
}

// use is one try of Use. What is not so yet is cluster.ErrUnavailable. The use is taken first: see
// package doc. Taken is of which volume it was, by an earlier try or this one.
func (h *Host) use(ctx context.Context, asked, mount string, taken *cluster.VolumeID) (string, error) {
	v, err := h.Owned(asked)
	if err != nil {
		return "", err
	}
	name := cmp.Or(v.Volume.Name, asked) // for people, and as the engine calls it
	here := h.usable(v)
	if *taken == "" {
		if err := h.Take(here, mount, h.starting(ctx, name)); err != nil {
			return "", err
		}
		*taken = here.ID
	}
	if v, err = h.Owned(asked); err != nil {
		return "", err
	}
	if v.Volume.ID != *taken { // it was deleted, and another one has its name
		*taken = ""
		return "", errors.Join(fmt.Errorf("%w: volume %s is another one now", cluster.ErrUnavailable, name), h.Drop(mount, ""))
	}
	held, err := volume.Find(ctx, h.Backend, v.Volume.ID)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return "", fmt.Errorf("%w: look at volume %s: %s", cluster.ErrUnavailable, name, cluster.Message(err))
	}
	if err != nil || !held.Open || held.Role != cluster.Primary || held.Epoch != v.Ownership.Epoch {
		return "", fmt.Errorf("%w: volume %s is not open yet%s", cluster.ErrUnavailable, name, h.Trouble(v.Volume.ID))
	}
	still, err := h.Renew(v.Volume.ID, mount)
	if err != nil {
		return "", err
	}
	if !still { // whoever wanted to close the volume may have begun to
		*taken = ""
		return "", fmt.Errorf("%w: the use of volume %s was ended meanwhile", cluster.ErrUnavailable, name)
	}
	return held.Path, nil
}

func (h *Host) usable(v cluster.OwnedVolume) Source {
	return Source{ID: v.Volume.ID, Name: v.Volume.Name, Path: h.Backend.Path(v.Volume.ID)}
}

// Release notes that a use has ended, once for each call.
func (h *Host) Release(mount, call string) error {
	defer h.Changed()
	return h.Drop(mount, call)
}

// starting returns the name of the container that is about to use a volume, if only one can be.
func (h *Host) starting(ctx context.Context, name string) string {
	var found []string
	ctx, cancel := context.WithTimeout(ctx, engineGlance)
	defer cancel()
	for _, c := range h.containers(ctx) {
		if !c.Running && slices.Contains(c.Volumes, name) {
			found = append(found, c.Name)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// containers returns those of the engine; none, and not an empty list, if it can't be asked.
func (h *Host) containers(ctx context.Context) []runtime.Container {
	if h.Engine == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, engineWait)
	defer cancel()
	all, err := h.Engine.Containers(ctx)
	if err != nil {
		h.Log.Debug("the engine does not say which containers there are", "error", err)
		return nil
	}
	return append([]runtime.Container{}, all...)
}

// Keep holds the uses of volumes against what the engine says: also when there are none, for
// those that began while nobody listened, or when it was not known yet which volumes are here.
func (h *Host) Keep(ctx context.Context) error {
	for ctx.Err() == nil {
		tick := rebuildTick
		if h.Nameless() {
			tick = time.Second
		}
		h.Refresh(ctx)
		_ = sleep.For(ctx, tick)
	}
	return ctx.Err()
}

// Refresh brings the uses in line with the containers that there are now.
func (h *Host) Refresh(ctx context.Context) {
	ask := func() []runtime.Container { return h.containers(ctx) }
	find := func(name string) (Source, bool) {
		v, err := h.Owned(name)
		return h.usable(v), err == nil
	}
	if err := h.Registry.Rebuild(ask, find, func(path string) bool { return inuse.By(path) != "" }); err != nil {
		h.Log.Error("cannot keep who uses volumes", "error", err)
	}
	h.Changed()
}
