package convergence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// A journal remembers the moves whose commit was asked for and is not answered. Everything else
// that an agent does can be seen again after a crash; this cannot: the answer is elsewhere.
//
// There is one file per volume, so that a crash while one is written leaves the others readable.
type journal struct {
	dir string

	mu      sync.Mutex
	entries map[cluster.VolumeID]journalEntry
}

type journalEntry struct {
	Move cluster.Move `json:"move"`
	Base string       `json:"base"`
}

func openJournal(dir string) (*journal, error) {
	j := &journal{dir: filepath.Join(dir, "journal"), entries: map[cluster.VolumeID]journalEntry{}}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(j.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var e journalEntry
		if err := json.Unmarshal(b, &e); err != nil {
			// Files are written whole or not at all. Going on without one could mean two writers.
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		j.entries[e.Move.Volume] = e
	}
	return j, nil
}

// Asking notes that the commit of a move is about to be asked for.
func (j *journal) Asking(move cluster.Move, base string) error {
	e := journalEntry{Move: move, Base: base}
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := durable.WriteFile(j.file(move.Volume), b, 0o600); err != nil {
		return err
	}
	j.entries[move.Volume] = e
	return nil
}

// Settled forgets the move of a volume: its outcome is known, and has been acted upon.
func (j *journal) Settled(id cluster.VolumeID) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := os.Remove(j.file(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(j.entries, id)
	return nil
}

func (j *journal) undecided() map[cluster.VolumeID]cluster.Move {
	j.mu.Lock()
	defer j.mu.Unlock()
	moves := map[cluster.VolumeID]cluster.Move{}
	for id, e := range maps.All(j.entries) {
		moves[id] = e.Move
	}
	return moves
}

func (j *journal) base(id cluster.VolumeID) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries[id].Base
}

func (j *journal) file(id cluster.VolumeID) string {
	return filepath.Join(j.dir, string(id)+".json")
}

// saveSlice keeps a slice for the next start of the agent.
func saveSlice(dir string, s cluster.Slice) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, "slice.json"), b, 0o600)
}

// loadSlice returns the last slice that was kept, if there is one.
func loadSlice(dir string) (cluster.Slice, bool, error) {
	b, err := os.ReadFile(filepath.Join(dir, "slice.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return cluster.Slice{}, false, nil
	}
	if err != nil {
		return cluster.Slice{}, false, err
	}
	var s cluster.Slice
	if err := json.Unmarshal(b, &s); err != nil {
		return cluster.Slice{}, false, err
	}
	return s, true, nil
}
