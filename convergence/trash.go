package convergence

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/sleep"
	"github.com/drover/drover/volume"
)

// trashTick is how old what is known of the trash may be: it may be emptied by hand.
const trashTick = time.Minute

// thrown is which volumes could be brought back from the trash, as of a look at it.
type thrown struct {
	mu sync.Mutex
	trashed
}

type trashed struct {
	at     time.Time
	copies []cluster.VolumeID // those that were here then
	// volumes are those whose primary copy is there; nil: that cannot be told.
	volumes []cluster.VolumeID
	// unreadable are those of which nobody knows what is there.
	unreadable []cluster.VolumeID
	replicas   []cluster.TrashReplica
	aside      []cluster.SetAside
}

// inTrash returns what is in the trash. What Remove takes away, or Restore brings back, changes the
// copies too, so that is seen at once.
func (a *Agent) inTrash(ctx context.Context, copies []volume.Copy) trashed {
	here := make([]cluster.VolumeID, len(copies))
	for i, c := range copies {
		here[i] = c.Volume
	}
	a.thrown.mu.Lock()
	t := a.thrown.trashed
	a.thrown.mu.Unlock()
	if t.volumes != nil && slices.Equal(t.copies, here) && time.Since(t.at) < trashTick {
		return t
	}
	began := time.Now()
	trash, err := a.trash(ctx)
	if err != nil {
		a.Log.Warn("cannot see the trash", "error", err)
		return trashed{}
	}
	t = trashed{at: began, copies: here, volumes: []cluster.VolumeID{}}
	if b, ok := volume.As[volume.Trasher](a.Backend); ok {
		if t.aside, err = b.Aside(ctx); err != nil {
			a.Log.Warn("cannot see what was set aside", "error", err)
		}
	}
	for _, c := range trash {
		switch {
		case c.Broken():
			t.unreadable = append(t.unreadable, c.Volume)
		case c.Role == cluster.Primary:
			t.volumes = append(t.volumes, c.Volume)
		default:
			t.replicas = append(t.replicas, cluster.TrashReplica{Volume: c.Volume, Head: c.Head})
		}
	}
	slices.Sort(t.volumes)
	slices.Sort(t.unreadable)
	t.volumes, t.unreadable = slices.Compact(t.volumes), slices.Compact(t.unreadable)
	a.thrown.mu.Lock()
	defer a.thrown.mu.Unlock()
	a.thrown.trashed = t
	return t
}

// trashClockFile is where the trashClock is kept.
const trashClockFile = "trash-clock.json"

// purge empties the trash, now and then, of what is past its grace period.
func (a *Agent) purge(ctx context.Context) error {
	for {
		if err := a.purgeOnce(ctx); err != nil && ctx.Err() == nil {
			a.Log.Warn("cannot purge the trash", "error", err)
		}
		if sleep.For(ctx, min(time.Hour, min(a.grace(), a.trashGrace())/8)) != nil {
			return ctx.Err()
		}
	}
}

func (a *Agent) purgeOnce(ctx context.Context) error {
	clock, err := a.noteClock(a.wall())
	if err != nil {
		return err
	}
	trash, ok := volume.As[volume.Trasher](a.Backend)
	if before, known := clock.before(a.trashGrace()); known && ok {
		return trash.Purge(ctx, before)
	}
	return nil
}

// shown is what the host's clock showed when that was last noted, and what follows.
type shown struct {
	mu   sync.Mutex
	at   time.Time // by a clock that does not jump
	wall time.Time
	aged time.Time // for plan.Observed
}

// noteClock counts on, and notes what the host's clock shows.
func (a *Agent) noteClock(wall time.Time) (trashClock, error) {
	a.shown.mu.Lock()
	defer a.shown.mu.Unlock()
	path := filepath.Join(a.Dir, trashClockFile)
	clock, err := loadTrashClock(path)
	if err != nil {
		a.Log.Warn("how long copies have been kept is counted anew", "error", err)
	}
	now := time.Now()
	if a.shown.at.IsZero() {
		a.shown.at = now
	}
	clock.note(now.Sub(a.shown.at), wall, max(a.grace(), a.trashGrace()))
	a.shown.at, a.shown.wall = now, wall
	a.shown.aged, _ = clock.before(a.grace())
	return clock, clock.save(path)
}

// lookAtClock notes that the host's clock was set back, before anything is dated by it: that would look older
// than it is once the clock is right again.
func (a *Agent) lookAtClock() {
	wall := a.wall()
	a.shown.mu.Lock()
	back := wall.Before(a.shown.wall)
	a.shown.mu.Unlock()
	if !back {
		return
	}
	if _, err := a.noteClock(wall); err != nil {
		a.Log.Warn("cannot note that the clock was set back", "error", err)
	}
}

// aged is since when copies have been as they are for the grace period of a former owner's.
func (a *Agent) aged() time.Time {
	a.shown.mu.Lock()
	defer a.shown.mu.Unlock()
	return a.shown.aged
}
