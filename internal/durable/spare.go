package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A spare is a file of a directory that the records there are written into when there is no space for
// another file, nor an inode. It is written over in place and changes its name with the record, which is
// a spare from then on: nothing is given back to the file system, where others, who want space too,
// would take it. A record is filled up with empty lines to the size that a spare has, so that it is a good one.
// A record that is new takes a spare away: a directory needs one for each that comes, and one more.

const (
	spareName = ".spare"
	// spareBytes is what fits into one, if no other size is asked for.
	spareBytes = 16 << 10
	zfsMagic   = 0x2fc12fc1
)

// spares is held by whoever changes the spares of a directory: several records may share them.
var spares sync.Mutex

// KeepSpare makes the spare of a directory with one record, if there is none. Where nothing can be written
// over in place, as on btrfs and ZFS, there is none.
func KeepSpare(dir string) error { return KeepSpares(dir, 1, spareBytes) }

// KeepSpares makes the spares of a directory that are missing, or too small for a record of that size
// (or an ordinary one).
func KeepSpares(dir string, count, size int) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if st.Type == unix.BTRFS_SUPER_MAGIC || st.Type == zfsMagic {
		return nil
	}
	spares.Lock()
	defer spares.Unlock()
	for n := range count {
		path := spareOf(dir, n)
		if roomOf(path) >= max(size, spareBytes) {
			continue
		}
		temporary, err := prepare(path, filled(nil, size), 0o600)
		if err == nil {
			err = Rename(temporary, path)
		}
		if err != nil {
			return fmt.Errorf("keep space for the records in %s: %w", dir, err)
		}
	}
	return nil
}

// FillUp makes a record that was written before its directory had a spare as large as one, as it would be a
// small spare once it has been replaced.
func FillUp(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() >= spareBytes || len(sparesOf(filepath.Dir(path))) == 0 {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return WriteFile(path, text, info.Mode().Perm())
}

func spareOf(dir string, n int) string {
	if n == 0 {
		return filepath.Join(dir, spareName)
	}
	return filepath.Join(dir, fmt.Sprintf("%s-%d", spareName, n))
}

// sparesOf lists the spares of a directory.
func sparesOf(dir string) (paths []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // whoever writes a record there is told
	}
	for _, e := range entries {
		if e.Name() == spareName || strings.HasPrefix(e.Name(), spareName+"-") {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths
}

// roomOf is how much fits into a spare: what a record left whose directory had no spare yet is the rest of its
// last block too. Zero: it is none.
func roomOf(path string) int {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0
	}
	block := max(int64(st.Blksize), 1)
	if whole := (st.Size + block - 1) / block * block; whole <= st.Blocks*512 {
		return int(whole)
	}
	return int(st.Size)
}

// filled is a record of the size of a spare of at least so many bytes.
func filled(data []byte, size int) []byte {
	whole := (max(size, len(data), 1) + spareBytes - 1) / spareBytes * spareBytes
	return filledTo(data, whole)
}

func filledTo(data []byte, size int) []byte {
	return append(data[:len(data):len(data)], bytes.Repeat([]byte{'\n'}, max(size-len(data), 0))...)
}

// intoSpare replaces a file, or makes it, by the smallest spare of its directory that it fits into. Missing is
// the error that there is without one.
func intoSpare(path string, data []byte, missing error) error {
	spares.Lock()
	defer spares.Unlock()
	dir := filepath.Dir(path)
	spare, room := "", 0
	for _, s := range sparesOf(dir) {
		if r := roomOf(s); r > 0 && r >= len(data) && (spare == "" || r < room) {
			spare, room = s, r
		}
	}
	if spare == "" {
		return missing
	}
	// What was renamed before is so on the disk: there the spare may still have the name of the record.
	if err := SyncDir(dir); err != nil {
		return err
	}
	f, err := os.OpenFile(spare, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(filledTo(data, room))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	err = unix.Renameat2(unix.AT_FDCWD, spare, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EINVAL) { // no such file yet, or no such call
		return os.Rename(spare, path)
	}
	return err
}

// Retire is Remove for a record that may have been written into a spare of its directory: then it is a spare
// again, of at most so many.
func Retire(path string, most int) error {
	spares.Lock()
	defer spares.Unlock()
	info, err := os.Lstat(path)
	for n := 0; err == nil && n < most && info.Size() >= spareBytes; n++ {
		if spare := spareOf(filepath.Dir(path), n); roomOf(spare) < spareBytes {
			return Rename(path, spare)
		}
	}
	return Remove(path)
}
