package copydir

import (
	"io/fs"
	"path/filepath"
	"sync"
	"time"
)

// A Usage is how much a copy takes up, and when that was last found out.
type Usage struct {
	mu     sync.Mutex
	bytes  int64
	at     time.Time
	asking bool
}

// usageAge is how old a usage may be before it is found out again.
const usageAge = 2 * time.Second

// Get returns the usage as it is known. If that is old it is found out anew, in the background:
// those who list copies do not wait for a walk over a million files.
func (u *Usage) Get(root string, changes bool) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if old := time.Since(u.at) > usageAge; old && !u.asking && (changes || u.at.IsZero()) {
		u.asking = true
		go func() { u.Note(walkUsage(root)) }()
	}
	return u.bytes
}

// Note says how much it is.
func (u *Usage) Note(n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes, u.at, u.asking = n, time.Now(), false
}

func walkUsage(root string) int64 {
	var n int64
	_ = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error { // as much as can be seen
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
