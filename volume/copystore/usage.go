package copystore

import (
	"context"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// A Usage is how much a copy takes up, and when that was last found out.
type Usage struct {
	walks *background

	mu     sync.Mutex
	bytes  int64
	at     time.Time
	took   time.Duration // the last walk
	asking bool
}

// usageAge is how old a usage may be before it is found out again, and restOfWalks how many times as
// long as a walk there is none after it: walks over a million files are no steady load on the host.
const (
	usageAge    = 2 * time.Second
	restOfWalks = 20
)

// Get returns the usage as it is known. If that is old it is found out anew, in the background:
// those who list copies do not wait for a walk over a million files.
func (u *Usage) Get(root string, changes bool) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if old := time.Since(u.at) > max(usageAge, restOfWalks*u.took); old && !u.asking && (changes || u.at.IsZero()) {
		u.asking = u.walks.start(func(ctx context.Context) { u.walk(ctx, root) })
	}
	return u.bytes
}

// Last returns the usage as it is known, and begins no walk.
func (u *Usage) Last() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bytes
}

// Forget says that it is another one now: whoever asks next has it found out.
func (u *Usage) Forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.at = time.Time{}
}

func (u *Usage) walk(ctx context.Context, root string) {
	began := time.Now()
	n, err := Allocated(ctx, root)
	if err != nil {
		return
	}
	u.mu.Lock()
	u.took = time.Since(began)
	u.mu.Unlock()
	u.Note(n)
}

// Note says how much it is.
func (u *Usage) Note(n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes, u.at, u.asking = n, time.Now(), false
}

// Allocated adds up what the files below a directory take up on the disk, each file once however
// many names it has, on that file system alone.
func Allocated(ctx context.Context, root string) (int64, error) {
	var n int64
	var device uint64
	linked := map[uint64]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return nil // as much as can be seen
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		st := info.Sys().(*syscall.Stat_t)
		switch {
		case path == root:
			device = st.Dev
		case st.Dev != device && d.IsDir():
			return fs.SkipDir
		case st.Dev != device, linked[st.Ino]:
			return nil
		case st.Nlink > 1 && !d.IsDir():
			linked[st.Ino] = true
		}
		n += st.Blocks * 512
		return nil
	})
	return n, err
}
