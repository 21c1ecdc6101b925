package handoff

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// A FileJournal is the Journal of an agent: it remembers the moves whose commit was asked for and is not answered. Everything else
// that an agent does can be seen again after a crash; this cannot: the answer is elsewhere.
//
// There is one file per volume, so that a crash while one is written leaves the others readable.
type FileJournal struct {
	dir string

	mu      sync.Mutex
	entries map[cluster.VolumeID]journalEntry
	volumes int // that may move from here at once
}

type journalEntry struct {
	Move cluster.Move `json:"move"`
	Base string       `json:"base"`
}

// OpenJournal reads the journal of the agent whose directory that is.
func OpenJournal(dir string) (*FileJournal, error) {
	j := &FileJournal{dir: filepath.Join(dir, "journal"), entries: map[cluster.VolumeID]journalEntry{}}
	if err := durable.MkdirAll(j.dir, 0o700); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(j.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		e, err := parseEntry(filepath.Base(file), text)
		if err != nil {
			// Files are written whole or not at all. Going on without one could mean two writers.
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		j.entries[e.Move.Volume] = e
	}
	j.volumes = len(j.entries)
	_ = j.keepSpace() // on a full disk it is made another time
	return j, nil
}

// KeepSpace keeps space for as many volumes as there are, so that each can move away from a full disk.
func (j *FileJournal) KeepSpace(volumes int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.volumes = volumes
	return j.keepSpace()
}

// keepSpace keeps a spare for each volume that is not in the journal, and one to replace what is. The caller
// holds mu, or is the only one to know j.
func (j *FileJournal) keepSpace() error {
	err := durable.KeepSpares(j.dir, max(j.volumes-len(j.entries), 0)+1, 0)
	for id := range j.entries {
		if err == nil {
			err = durable.FillUp(j.file(id))
		}
	}
	return err
}

// parseEntry reads the file of that name. What is in it must be of the volume that the name says.
func parseEntry(name string, text []byte) (e journalEntry, err error) {
	if err := durable.ParseJSON(text, &e); err != nil {
		return e, err
	}
	if string(e.Move.Volume)+".json" != name || e.Move.ID == "" {
		return e, fmt.Errorf("%w: it is of volume %s", cluster.ErrInvalid, cluster.Shown(string(e.Move.Volume)))
	}
	return e, nil
}

// Asking notes that the commit of a move is about to be asked for.
func (j *FileJournal) Asking(move cluster.Move, base string) error {
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

// Settled forgets the move of a volume: its outcome is known, and has been acted upon. It does not
// come back after a loss of power: by then the volume may have moved again.
func (j *FileJournal) Settled(id cluster.VolumeID) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := durable.Retire(j.file(id), max(j.volumes, 1)+1); err != nil {
		return err
	}
	delete(j.entries, id)
	_ = j.keepSpace() // what is missing is made when the next assignment is kept
	return nil
}

// Undecided returns the moves whose answer is not known.
func (j *FileJournal) Undecided() map[cluster.VolumeID]cluster.Move {
	j.mu.Lock()
	defer j.mu.Unlock()
	moves := map[cluster.VolumeID]cluster.Move{}
	for id, e := range maps.All(j.entries) {
		moves[id] = e.Move
	}
	return moves
}

// Base returns the snapshot that the commit of a volume was asked for with.
func (j *FileJournal) Base(id cluster.VolumeID) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries[id].Base
}

func (j *FileJournal) file(id cluster.VolumeID) string {
	return filepath.Join(j.dir, string(id)+".json")
}
