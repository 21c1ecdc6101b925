package copystore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// btrfs keeps names and small files apart from the content of files, and a disk whose space is all
// content can take no other name. So there the reserve holds some of that kind too, as attributes,
// each of which fills a node of its trees. Elsewhere it is inodes that can be used up: it holds a few.

const (
	metadataFiles = 256
	metadataBytes = 15 << 10
	inodes        = 16
)

func (v *reserve) metadata() string { return v.path + ".metadata" }

// makeMetadata allocates it.
func (v *reserve) makeMetadata() error {
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(v.path), &st); err != nil {
		return err
	}
	btrfs, files := st.Type == unix.BTRFS_SUPER_MAGIC, inodes
	if btrfs {
		files = metadataFiles
	}
	if err := os.Mkdir(v.metadata(), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for n := range files {
		name := filepath.Join(v.metadata(), fmt.Sprint(n))
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		if btrfs {
			err = unix.Fsetxattr(int(f.Fd()), "user.reserve", make([]byte, metadataBytes), 0)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return errors.Join(err, os.Remove(name))
		}
	}
	return nil
}

// giveMetadata deletes it, and reports whether there was any.
func (v *reserve) giveMetadata() (bool, error) {
	entries, err := os.ReadDir(v.metadata())
	if err != nil {
		return false, nil
	}
	var errs []error
	for _, entry := range entries {
		errs = append(errs, os.Remove(filepath.Join(v.metadata(), entry.Name())))
	}
	return len(entries) > 0, errors.Join(errs...)
}
