// Package uses keeps who uses the volumes of this node besides Drover's own applications: the
// containers that people, or Compose, had Docker start.
//
//	book, err := uses.Open(dir, era)
//	err = book.Take(uses.Volume{ID: id, Name: "pgdata", Path: path}, mount, "web")
//	err = book.Bar(id, why)      // refused while somebody uses it; until Unbar nobody begins to
//	err = book.Drop(mount)
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
// bar it first and then close it. The package opens and closes nothing itself.
package uses

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

// A Volume is what is used.
type Volume struct {
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
}

// A Page is a volume with its uses, by the ids of their mounts.
type Page struct {
	Volume Volume `json:"volume"`
	// Era is the boot of the host in which they began: none outlives it.
	Era  string         `json:"era"`
	Uses map[string]Use `json:"uses"`
}

// A Book is the pages of one node. Use Open.
type Book struct {
	dir, era string

	mu     sync.Mutex // nobody else's code runs under it
	pages  map[cluster.VolumeID]Page
	barred map[cluster.VolumeID]error
	// starting is how many containers wait for their volumes.
	starting int
}

// Open reads what is kept in dir. Uses of an earlier era have ended with it.
func Open(dir, era string) (*Book, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b := &Book{dir: dir, era: era, pages: map[cluster.VolumeID]Page{}, barred: map[cluster.VolumeID]error{}}
	pages, err := Read(dir)
	for _, p := range pages {
		if p.Era == era {
			b.pages[p.Volume.ID] = p
		} else {
			err = errors.Join(err, os.Remove(b.file(p.Volume.ID)))
		}
	}
	return b, err
}

// Read returns the pages in dir, also for a process that does not own them. With an error it returns
// those that it could read.
func Read(dir string) ([]Page, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var pages []Page
	var errs []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // ended since
		}
		var p Page
		if err == nil {
			err = json.Unmarshal(text, &p)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", file, err))
			continue
		}
		pages = append(pages, p)
	}
	return pages, errors.Join(errs...)
}

func (b *Book) file(id cluster.VolumeID) string { return filepath.Join(b.dir, string(id)+".json") }

// Start has Rebuild end no use until what it returns is called: a container waits for its volumes, one
// after another, and is not seen to use the first ones meanwhile.
func (b *Book) Start() (done func()) {
	b.count(1)
	return func() { b.count(-1) }
}

func (b *Book) count(starting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starting += starting
}

// Take notes that a use begins, or begins again. It is durable when Take returns. While the volume is
// barred the result is why.
func (b *Book) Take(v Volume, mount, container string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if why := b.barred[v.ID]; why != nil {
		return why
	}
	use, taken := b.pages[v.ID].Uses[mount]
	if taken {
		use.Again++
	} else {
		use.Container = container
	}
	use.Since = time.Now()
	return b.set(v, mount, use)
}

// Renew notes that the container of a use is told only now where the volume is. It reports false if
// there is no such use any more.
func (b *Book) Renew(id cluster.VolumeID, mount string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[id]
	use, taken := p.Uses[mount]
	if !taken {
		return false, nil
	}
	use.Since = time.Now()
	return true, b.set(p.Volume, mount, use)
}

// Drop notes that a use has ended, as often as it was taken. One that is not known has.
func (b *Book) Drop(mount string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.pages {
		use, taken := p.Uses[mount]
		switch {
		case taken && use.Again > 0:
			use.Again--
			return b.set(p.Volume, mount, use)
		case taken:
			return b.end(p, mount)
		}
	}
	return nil
}

// Bar keeps new uses of a volume away until Unbar: why is what they are told. If it is used the
// result is cluster.ErrConflict, which says by whom.
func (b *Book) Bar(id cluster.VolumeID, why error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if users := b.users(id); len(users) > 0 {
		return fmt.Errorf("%w: in use by %s", cluster.ErrConflict, strings.Join(users, ", "))
	}
	b.barred[id] = why
	return nil
}

// Unbar undoes Bar.
func (b *Book) Unbar(id cluster.VolumeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.barred, id)
}

// Users says who uses a volume, each as part of a sentence: first those that have a name.
func (b *Book) Users(id cluster.VolumeID) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.users(id)
}

func (b *Book) users(id cluster.VolumeID) []string {
	var named, nameless []string
	for mount, use := range b.pages[id].Uses {
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
func (b *Book) set(v Volume, mount string, use Use) error {
	p := Page{Volume: v, Era: b.era, Uses: maps.Clone(b.pages[v.ID].Uses)}
	if p.Uses == nil {
		p.Uses = map[string]Use{}
	}
	p.Uses[mount] = use
	return b.write(p)
}

// end takes a use away. The caller holds mu.
func (b *Book) end(p Page, mount string) error {
	p.Uses = maps.Clone(p.Uses)
	delete(p.Uses, mount)
	if len(p.Uses) > 0 {
		return b.write(p)
	}
	if err := os.Remove(b.file(p.Volume.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(b.pages, p.Volume.ID)
	return nil
}

func (b *Book) write(p Page) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(b.file(p.Volume.ID), text, 0o600); err != nil {
		return err
	}
	b.pages[p.Volume.ID] = p
	return nil
}
