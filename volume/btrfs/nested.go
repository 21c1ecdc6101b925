package btrfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/inuse"
)

// A subvolume inside of a volume, which anybody can make who may write there, is in no snapshot, in no
// stream and in no clone of it; and what is mounted there neither. So they are looked for before any of
// them, and refused by name.

// nestedArgs is struct btrfs_ioctl_get_subvol_rootref_args.
type nestedArgs struct {
	minimum uint64
	found   [255]struct{ tree, dir uint64 }
	count   uint8
	_       [7]byte
}

// lookupArgs is struct btrfs_ioctl_ino_lookup_user_args.
type lookupArgs struct {
	dir, tree uint64
	name      [256]byte
	path      [3824]byte
}

// nestedIn returns the paths, below a subvolume, of those in it: of the first 255 of them, and not of
// those in these.
func nestedIn(subvolume string) ([]string, error) {
	f, err := os.Open(subvolume)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var args nestedArgs
	err = ioctl(f, directionRead|directionWrite, numberNested, unsafe.Sizeof(args), unsafe.Pointer(&args))
	if err != nil && !errors.Is(err, unix.EOVERFLOW) { // there are more
		return nil, fmt.Errorf("look for subvolumes in %s: %w", subvolume, err)
	}
	var paths []string
	for _, one := range args.found[:args.count] {
		lookup := lookupArgs{dir: one.dir, tree: one.tree}
		err := ioctl(f, directionRead|directionWrite, numberLookup, unsafe.Sizeof(lookup), unsafe.Pointer(&lookup))
		if errors.Is(err, unix.ENOENT) {
			continue // deleted since
		}
		if err != nil {
			return nil, fmt.Errorf("look for subvolume %d in %s: %w", one.tree, subvolume, err)
		}
		paths = append(paths, filepath.Join(text(lookup.path[:]), text(lookup.name[:])))
	}
	return paths, nil
}

func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

// noneNested returns cluster.ErrUnsupported if there is something in a subvolume that is not of it:
// other subvolumes, or file systems that are mounted there.
func noneNested(subvolume string) error {
	if err := inuse.NothingMounted(subvolume); err != nil {
		return err
	}
	paths, err := nestedIn(subvolume)
	if err != nil || len(paths) == 0 {
		return err
	}
	named := fmt.Sprintf("%q", paths[0])
	if len(paths) > 1 {
		named = fmt.Sprintf("%s and %d more", named, len(paths)-1)
	}
	return cluster.WithHint(
		fmt.Errorf("%w: %s in the volume is a btrfs subvolume, which would be left behind", cluster.ErrUnsupported, named),
		fmt.Sprintf("make it a directory: in %s, cp -a --reflink=always %s %s; btrfs subvolume delete %[2]s; mv %[3]s %[2]s",
			subvolume, quote(paths[0]), quote(paths[0]+".new")))
}

// quote makes one word of a name for a shell.
func quote(name string) string { return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'" }

// deleteWithNested deletes a subvolume that may not exist, and first those in it.
func deleteWithNested(path string) error {
	for {
		err := deleteSubvolume(path)
		if err == nil || !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
		paths, nestedErr := nestedIn(path)
		if nestedErr != nil || len(paths) == 0 {
			return errors.Join(err, nestedErr)
		}
		for _, nested := range paths {
			if err := deleteWithNested(filepath.Join(path, nested)); err != nil {
				return err
			}
		}
	}
}
