// Package durable is the one place where what must survive a loss of power is written: a file has
// the old content or the new then, never a part of either, and what was said to be there is there.
//
//	err := durable.MkdirAll(dir, 0o700)
//	err = durable.WriteFile(filepath.Join(dir, "name"), data, 0o600)
//	err = durable.ReadJSON(filepath.Join(dir, "copy.json"), &record)
//
// The order is always: write, fsync of the file, rename, fsync of the directory. Without the first
// fsync some file systems (XFS, ext4 without auto_da_alloc) have the new name with no content after
// a cut; without the second the rename itself may be undone. Package powercut cuts the power of real
// file systems to prove it.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// WriteFile replaces the file: a temporary one beside it is written, synced and renamed, and the
// directory synced. When it returns nil the new content survives a loss of power.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	return replace(path, data, mode, SyncDir)
}

// ReplaceFile is WriteFile without the wait for the directory: after a loss of power the content is
// the old one or the new one, whole in either case. For what is as well forgotten, or on the disk with
// the next WriteFile in that directory.
func ReplaceFile(path string, data []byte, mode os.FileMode) error {
	return replace(path, data, mode, func(string) error { return nil })
}

// replace fills the file up in a directory that keeps spares, and writes it into one if it must.
func replace(path string, data []byte, mode os.FileMode, sync func(dir string) error) error {
	whole := data
	if len(sparesOf(filepath.Dir(path))) > 0 {
		whole = filled(data, spareBytes)
	}
	err := write("replace", path, whole, mode, os.Rename, sync)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		if err = intoSpare(path, data, err); err == nil {
			err = sync(filepath.Dir(path))
		}
	}
	return err
}

// CreateFile is WriteFile for a file that must not exist: then the result is fs.ErrExist, and what
// is there stays. Of several that create it at once one wins.
func CreateFile(path string, data []byte, mode os.FileMode) error {
	return write("create", path, data, mode, func(temporary, path string) error {
		// Unlike a rename, a link never replaces.
		if err := os.Link(temporary, path); err != nil {
			return err
		}
		return os.Remove(temporary)
	}, SyncDir)
}

func write(verb, path string, data []byte, mode os.FileMode, place func(temporary, path string) error, sync func(dir string) error) error {
	temporary, err := prepare(path, data, mode)
	if err == nil {
		if err = place(temporary, path); err != nil {
			_ = os.Remove(temporary) // the error that counts is the first
		}
	}
	if err == nil {
		err = sync(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", verb, path, err)
	}
	return nil
}

// prepare makes a synced file beside the path that will get its name.
func prepare(path string, data []byte, mode os.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		_ = os.Remove(f.Name()) // the error that counts is the first
	}
	return f.Name(), err
}

// Rename moves a file whose content is synced to another name of the same file system. When it
// returns nil it is there after a loss of power, and no longer where it was.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if err := SyncDir(filepath.Dir(to)); err != nil || filepath.Dir(from) == filepath.Dir(to) {
		return err
	}
	return SyncDir(filepath.Dir(from))
}

// Remove takes a file away that may not be there. When it returns nil it does not come back after
// a loss of power.
func Remove(path string) error {
	switch err := os.Remove(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// MkdirAll makes a directory and those above it that are missing; when it returns nil they survive
// a loss of power. One that exists keeps its mode.
func MkdirAll(dir string, mode os.FileMode) error {
	dir = filepath.Clean(dir)
	switch info, err := os.Stat(dir); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("make directory %s: there is something else", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := MkdirAll(parent, mode); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// SyncDir makes the entries of a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
