// Package durable replaces files so that a crash leaves the old content or the new, never a
// part of either.
//
//	err := durable.WriteFile(path, data, 0o600)
package durable

import (
	"fmt"
	"os"
	"path/filepath"
)

// WriteFile replaces the file: a temporary one beside it is written, synced and renamed, and the
// directory synced. When it returns nil the new content survives a loss of power.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	if err := replace(path, data, mode, true); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Replace replaces the file without waiting for the disk: after a loss of power the content may be
// the old one, until the file system has been synced.
func Replace(path string, data []byte, mode os.FileMode) error {
	return replace(path, data, mode, false)
}

func replace(path string, data []byte, mode os.FileMode, sync bool) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("replace %s: %w", path, err)
		}
	}()
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if _, err = f.Write(data); err != nil {
		return err
	}
	if sync {
		if err = f.Sync(); err != nil {
			return err
		}
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// SyncDir makes the entries of a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
