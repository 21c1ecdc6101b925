package powercut

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Fill takes all that a file system has left, as an application does that never stops: inodes, blocks to the
// last one, and what inodes there are still. It may be called again and again.
func Fill(t testing.TB, path string) {
	t.Helper()
	dir := filepath.Join(path, "filled")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Error(err)
	}
	const plenty = 40_000 // of inodes, for a disk of 128 MiB; XFS makes them of any space
	create(t, dir, plenty)
	for _, size := range []int{1 << 20, 4096, 1} {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint("filler-", size)), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		for content := make([]byte, size); err == nil; {
			_, err = f.Write(content)
		}
		f.Close() // one that could not be made is none
		full(t, err)
	}
	create(t, dir, plenty)
}

// create makes files of nothing, up to so many.
func create(t testing.TB, dir string, most int) {
	t.Helper()
	began := time.Now().UnixNano()
	for n := range most {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(began, "-", n)), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			full(t, err)
			return
		}
		f.Close() // there is nothing in it
	}
}

func full(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, unix.ENOSPC) {
		t.Error(err)
	}
}
