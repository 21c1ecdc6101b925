package convergence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/local"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/convergence/uses"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/inuse"
)

// Engine tells which containers there are. A docker.Engine is one.
type Engine interface {
	Containers(ctx context.Context) ([]runtime.Container, error)
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
func (a *Agent) Use(ctx context.Context, name, mount string) (string, error) {
	defer a.uses.Start()()
	var taken cluster.VolumeID
	for {
		path, err := a.use(ctx, name, mount, &taken)
		if err == nil {
			a.signal(a.report)
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
			err = errors.Join(err, a.uses.Drop(mount)) // what this call took, and no more
		}
		return "", err
	}
}

// use is one try of Use. What is not so yet is cluster.ErrUnavailable. The use is taken first: see
// package uses. Taken is of which volume it was, by an earlier try or this one.
func (a *Agent) use(ctx context.Context, asked, mount string, taken *cluster.VolumeID) (string, error) {
	v, err := a.ownedVolume(asked)
	if err != nil {
		return "", err
	}
	name := cmp.Or(v.Volume.Name, asked) // for people, and as the engine calls it
	here := a.usable(v)
	if *taken == "" {
		if err := a.uses.Take(here, mount, a.starting(ctx, name)); err != nil {
			return "", err
		}
		*taken = here.ID
	}
	if v, err = a.ownedVolume(asked); err != nil {
		return "", err
	}
	if v.Volume.ID != *taken { // it was deleted, and another one has its name
		*taken = ""
		return "", errors.Join(fmt.Errorf("%w: volume %s is another one now", cluster.ErrUnavailable, name), a.uses.Drop(mount))
	}
	held, err := volume.Find(ctx, a.Backend, v.Volume.ID)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return "", fmt.Errorf("%w: look at volume %s: %v", cluster.ErrUnavailable, name, err)
	}
	if err != nil || !held.Open || held.Role != cluster.Primary || held.Epoch != v.Ownership.Epoch {
		return "", fmt.Errorf("%w: volume %s is not open yet%s", cluster.ErrUnavailable, name, a.trouble(v.Volume.ID))
	}
	still, err := a.uses.Renew(v.Volume.ID, mount)
	if err != nil {
		return "", err
	}
	if !still { // whoever wanted to close the volume may have begun to
		*taken = ""
		return "", fmt.Errorf("%w: the use of volume %s was ended meanwhile", cluster.ErrUnavailable, name)
	}
	return held.Path, nil
}

func (a *Agent) usable(v cluster.OwnedVolume) uses.Volume {
	return uses.Volume{ID: v.Volume.ID, Name: v.Volume.Name, Path: a.Backend.Path(v.Volume.ID)}
}

// Release notes that a use has ended. What the container calls the volume does not matter.
func (a *Agent) Release(_, mount string) error {
	defer a.signal(a.report)
	return a.uses.Drop(mount)
}

// ownedVolume returns the volume of that name, or that id, if this node owns it for good: not if a
// move of it may have been committed already.
func (a *Agent) ownedVolume(name string) (cluster.OwnedVolume, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.known {
		return cluster.OwnedVolume{}, fmt.Errorf("%w: this node has never heard from the control service", cluster.ErrUnavailable)
	}
	at := slices.IndexFunc(a.slice.Volumes, func(v cluster.OwnedVolume) bool { return v.Volume.Name == name || string(v.Volume.ID) == name })
	if at < 0 {
		return cluster.OwnedVolume{}, fmt.Errorf("volume %s: %w among those of this node", name, cluster.ErrNotFound)
	}
	v := a.slice.Volumes[at]
	if move, undecided := a.journal.undecided()[v.Volume.ID]; undecided {
		target, _ := a.slice.Peer(move.To)
		return v, movingTo(cmp.Or(v.Volume.Name, name), target)
	}
	return v, nil
}

func movingTo(name string, target cluster.Node) error {
	return fmt.Errorf("%w: volume %s is moving to %s", cluster.ErrConflict, name, target.Name)
}

// trouble says what keeps a volume from being opened, as the end of a sentence.
func (a *Agent) trouble(id cluster.VolumeID) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f, failed := a.failed[string(id)]; failed {
		return fmt.Sprintf(": %s: %v", f.step.Kind, f.err)
	}
	for _, c := range a.conflicts {
		if c.Volume == id {
			return ": " + c.What
		}
	}
	return ""
}

// starting returns the name of the container that is about to use a volume, if only one can be.
func (a *Agent) starting(ctx context.Context, name string) string {
	var found []string
	ctx, cancel := context.WithTimeout(ctx, engineGlance)
	defer cancel()
	for _, c := range a.containers(ctx) {
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
func (a *Agent) containers(ctx context.Context) []runtime.Container {
	if a.Engine == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, engineWait)
	defer cancel()
	all, err := a.Engine.Containers(ctx)
	if err != nil {
		a.Log.Debug("the engine does not say which containers there are", "error", err)
		return nil
	}
	return append([]runtime.Container{}, all...)
}

// keepUses holds the uses of volumes against what the engine says: also when there are none, for
// those that began while nobody listened, or when it was not known yet which volumes are here.
func (a *Agent) keepUses(ctx context.Context) error {
	for ctx.Err() == nil {
		tick := rebuildTick
		if a.uses.Nameless() {
			tick = time.Second
		}
		a.rebuildUses(ctx)
		sleep(ctx, tick)
	}
	return ctx.Err()
}

func (a *Agent) rebuildUses(ctx context.Context) {
	ask := func() []runtime.Container { return a.containers(ctx) }
	find := func(name string) (uses.Volume, bool) {
		v, err := a.ownedVolume(name)
		return a.usable(v), err == nil
	}
	if err := a.uses.Rebuild(ask, find, func(path string) bool { return inuse.By(path) != "" }); err != nil {
		a.Log.Error("cannot keep who uses volumes", "error", err)
	}
	a.signal(a.report)
}

// serveLocally answers the plugin of the container engine. An agent that cannot is of use all the
// same.
func (a *Agent) serveLocally(ctx context.Context) error {
	if err := local.Serve(ctx, a.Dir, a, a.Log); ctx.Err() == nil {
		a.Log.Error("the Docker volume plugin cannot reach this agent", "error", err)
	}
	<-ctx.Done()
	return ctx.Err()
}

// openUses reads who used volumes before a restart. What cannot be read is told by the engine again.
func (a *Agent) openUses() error {
	book, err := uses.Open(filepath.Join(a.Dir, uses.Dir), a.Node.Era)
	if book == nil {
		return fmt.Errorf("open the uses of volumes: %w", err)
	}
	if err != nil {
		a.Log.Error("not all uses of volumes are known", "error", err)
	}
	a.uses = book
	return nil
}

// closeVolume closes a volume that nobody uses, and keeps users away meanwhile.
func (a *Agent) closeVolume(ctx context.Context, s plan.Step) error {
	if err := a.uses.Bar(s.Volume, fmt.Errorf("%w: the volume is being closed: %s", cluster.ErrUnavailable, s.Reason)); err != nil {
		return err
	}
	defer a.uses.Unbar(s.Volume)
	return a.Backend.Close(ctx, s.Volume)
}

// leave runs the hand-off of a volume that no container uses, and keeps them away meanwhile. One that
// is used stays: another attempt would find it so as well, until somebody stops the container.
func (a *Agent) leave(s plan.Step, target cluster.Node, handOff func() error) error {
	if err := a.uses.Bar(s.Volume, movingTo(a.VolumeNames()[s.Volume], target)); err != nil {
		users := strings.Join(a.uses.Users(s.Volume), ", ")
		return handoff.Refused(fmt.Errorf("in use on %s by %s", a.Node.Name, users))
	}
	defer a.uses.Unbar(s.Volume)
	return handOff()
}
