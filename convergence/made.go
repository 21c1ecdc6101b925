package convergence

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// made are the volumes that this node has, or had, a copy of with something in it. The record says so only once a
// report got through, and not if the store went back since; and files that somebody removed say nothing. A volume
// that is in here is lost if there is no copy, and never made anew.
type made struct {
	mu  sync.Mutex
	dir string
	ids []cluster.VolumeID // sorted; replaced, never changed
}

const madeFile = "made.json"

// open reads what an earlier life of the agent has noted.
func (m *made) open(dir string) error {
	m.dir = dir
	err := durable.ReadJSON(filepath.Join(dir, madeFile), &m.ids)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// all returns them, sorted.
func (m *made) all() []cluster.VolumeID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ids
}

// note is called before a volume is opened for the first time: nobody has written to it yet.
func (m *made) note(id cluster.VolumeID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set(slices.Sorted(maps.Keys(setOf(m.ids, id))))
}

// keep notes the volumes that this node owns and that were there before, by the record. It forgets those that this
// node has nothing to do with any more; not on the word of a store that may have gone back. It goes by the newest
// assignment, which it asks for: what is noted meanwhile is noted because of that one, or of a later one.
func (m *made) keep(newest func() cluster.Assignment) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := newest()
	if s.Recovering || s.Removed {
		return nil
	}
	were, ids := setOf(m.ids), map[cluster.VolumeID]bool{}
	for _, v := range s.Volumes {
		if v.Ownership.Created || v.Ownership.Epoch > 1 || were[v.Volume.ID] {
			ids[v.Volume.ID] = true
		}
	}
	for _, v := range s.Owners {
		if were[v.Volume] {
			ids[v.Volume] = true
		}
	}
	return m.set(slices.Sorted(maps.Keys(ids)))
}

// set makes those the volumes that are noted. The caller holds mu.
func (m *made) set(ids []cluster.VolumeID) error {
	if slices.Equal(ids, m.ids) {
		return nil
	}
	b, err := json.Marshal(ids)
	if err == nil {
		err = durable.WriteFile(filepath.Join(m.dir, madeFile), b, 0o600)
	}
	if err == nil {
		m.ids = ids
	}
	return err
}

func setOf(ids []cluster.VolumeID, more ...cluster.VolumeID) map[cluster.VolumeID]bool {
	set := map[cluster.VolumeID]bool{}
	for _, id := range slices.Concat(ids, more) {
		set[id] = true
	}
	return set
}
