package dir

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A usage is how much a copy takes up, and when that was last found out.
type usage struct {
	bytes  int64
	at     time.Time
	asking bool
}

// usageAge is how old a usage may be before it is found out again.
const usageAge = 2 * time.Second

// usedBytes returns the usage as it is known. If that is old it is found out anew, in the
// background: those who list copies do not wait for a walk over a million files.
func (c *copyDir) usedBytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := time.Since(c.used.at) > usageAge
	if old && !c.used.asking && (c.record.Open || c.used.at.IsZero()) {
		c.used.asking = true
		go func() {
			c.noteUsed(walkUsage(c.data()))
		}()
	}
	return c.used.bytes
}

func (c *copyDir) noteUsed(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = usage{bytes: n, at: time.Now()}
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

// writerBelow returns who has a file below root open for writing, or "". It sees the processes
// that this user may look at: all of them as root.
func writerBelow(root string) string {
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return "" // only a bad pattern is an error
	}
	for _, path := range descriptors {
		target, err := os.Readlink(path)
		if err != nil || !strings.HasPrefix(target, root+"/") {
			continue
		}
		process := filepath.Dir(filepath.Dir(path))
		if opensForWriting(process, filepath.Base(path)) {
			name, _ := os.ReadFile(process + "/comm") // the id alone will do
			return "process " + filepath.Base(process) + " (" + strings.TrimSpace(string(name)) + "), which has " + target + " open"
		}
	}
	return ""
}

// opensForWriting reads the flags of a descriptor, which /proc gives in octal.
func opensForWriting(process, descriptor string) bool {
	b, err := os.ReadFile(process + "/fdinfo/" + descriptor)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if octal, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, err := strconv.ParseUint(strings.TrimSpace(octal), 8, 64)
			return err == nil && flags&(uint64(os.O_WRONLY)|uint64(os.O_RDWR)) != 0
		}
	}
	return false
}
