package convergence

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/handoff"
	"github.com/drover/drover/convergence/mounts"
	"github.com/drover/drover/convergence/plan"
)

// ownedVolume returns the volume of that name, or that id, if this node owns it for good: not if a
// move of it may have been committed already.
func (a *Agent) ownedVolume(name string) (cluster.OwnedVolume, error) {
	assignment, known := a.heard()
	if !known {
		return cluster.OwnedVolume{}, fmt.Errorf("%w: this node has never heard from the control service", cluster.ErrUnavailable)
	}
	// What is on record as open on the disk of this host is so on a copy of the disk, too.
	if waits := a.standing.waiting(); waits != "" {
		return cluster.OwnedVolume{}, fmt.Errorf("%w: nothing is opened on this host yet: %s", cluster.ErrUnavailable, waits)
	}
	at := slices.IndexFunc(assignment.Volumes, func(v cluster.OwnedVolume) bool { return v.Volume.Name == name || string(v.Volume.ID) == name })
	if at < 0 {
		return cluster.OwnedVolume{}, fmt.Errorf("volume %s: %w among those of this node", name, cluster.ErrNotFound)
	}
	v := assignment.Volumes[at]
	if move, undecided := a.journal.Undecided()[v.Volume.ID]; undecided {
		target, _ := assignment.Peer(move.To)
		return v, movingTo(cmp.Or(v.Volume.Name, name), target)
	}
	return v, nil
}

func movingTo(name string, target cluster.Node) error {
	return fmt.Errorf("%w: volume %s is moving to %s", cluster.ErrConflict, name, target.Name)
}

// trouble says what keeps a volume from being opened, as the end of a sentence.
func (a *Agent) trouble(id cluster.VolumeID) string {
	if f, failed := a.executor.Failure(plan.CopyLane(id)); failed {
		return fmt.Sprintf(": %s: %v", f.Step.Kind, f.Err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.told.conflicts {
		if c.Volume == id {
			return ": " + c.What
		}
	}
	return ""
}

// openMounts reads who used volumes before a restart. What cannot be read is told by the engine again.
func (a *Agent) openMounts() error {
	registry, err := mounts.Open(filepath.Join(a.Dir, mounts.Dir), a.Node.Era)
	if registry == nil {
		return fmt.Errorf("open the uses of volumes: %w", err)
	}
	if err != nil {
		a.Log.Error("not all uses of volumes are known", "error", err)
	}
	a.mounts = &mounts.Host{Registry: registry, Backend: a.Backend, Engine: a.Engine, Owned: a.ownedVolume,
		Trouble: a.trouble, Changed: a.report.send, Log: a.Log}
	return nil
}

// leave runs the hand-off of a volume that no container uses, and keeps them away meanwhile. One that
// is used stays: another attempt would find it so as well, until somebody stops the container.
func (a *Agent) leave(s plan.Step, target cluster.Node, handOff func() error) error {
	if err := a.mounts.Block(s.Volume, movingTo(a.receiver.VolumeNames()[s.Volume], target)); err != nil {
		users := strings.Join(a.mounts.Users(s.Volume), ", ")
		return handoff.Refused(fmt.Errorf("in use on %s by %s", a.Node.Name, users))
	}
	defer a.mounts.Unblock(s.Volume)
	return handOff()
}
