package zfs

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/inuse"
)

// A view is a mount of a dataset or a snapshot for the agent alone, below its own directory.
type view struct{ root string }

// views is where they are. What a crash has left there is of no use to anybody.
func (b *Backend) views() string { return filepath.Join(b.o.Dir, "views") }

// look mounts a dataset or a snapshot as a view.
func (b *Backend) look(ctx context.Context, name string, readonly bool) (v view, err error) {
	if err := os.MkdirAll(b.views(), 0o700); err != nil {
		return v, err
	}
	if v.root, err = os.MkdirTemp(b.views(), ""); err != nil {
		return v, err
	}
	flags := uintptr(0)
	if readonly {
		flags = unix.MS_RDONLY
	}
	err = within(ctx, func() error { return unix.Mount(name, v.root, "zfs", flags, "") })
	if err != nil {
		_ = os.Remove(v.root) // unless the kernel still waits for the pool
	}
	return v, mountError(name, err)
}

func (v view) close() error {
	err := unix.Unmount(v.root, 0)
	if errors.Is(err, unix.EBUSY) { // by somebody who looks around
		err = unix.Unmount(v.root, unix.MNT_DETACH)
	}
	return errors.Join(os.NewSyscallError("unmount "+v.root, err), os.Remove(v.root))
}

// closeViews takes away what a crash has left.
func (b *Backend) closeViews() error {
	left, err := os.ReadDir(b.views())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, entry := range left {
		v := view{filepath.Join(b.views(), entry.Name())}
		if closed := v.close(); closed != nil && !errors.Is(closed, unix.EINVAL) { // it is no mount
			err = errors.Join(err, closed)
		}
		_ = os.Remove(v.root) // nothing is in it
	}
	return err
}

// mountError explains why a mount failed.
func mountError(name string, err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("mount %s: %w", name, errBusy)
	case errors.Is(err, unix.EACCES):
		dataset, _, _ := strings.Cut(name, "@")
		return cluster.WithHint(fmt.Errorf("mount %s: %w: %s", name, cluster.ErrConflict, keyMissing), "zfs load-key "+dataset)
	case err != nil:
		return fmt.Errorf("mount %s: %w", name, err)
	}
	return nil
}

// settle has a look at a dataset that is not to be mounted, for reading only, and two things come of it.
// What its log holds of writes that were acknowledged before the power failed comes into the content,
// and into snapshots. And it is errBusy as long as anybody has it mounted writable, under whatever name
// and in whichever namespace. The mount has no place: no namespace can be made with a copy of it.
func (b *Backend) settle(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	err := within(ctx, func() error { return mountNowhere(name) })
	if !errors.Is(err, unix.ENOSYS) {
		return mountError(name, err)
	}
	v, err := b.look(ctx, name, true) // before Linux 5.2
	if err != nil {
		return err
	}
	return v.close()
}

// mountNowhere mounts and unmounts a dataset for reading.
func mountNowhere(name string) error {
	made, err := unix.Fsopen("zfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(made)
	err = unix.FsconfigSetString(made, "source", name)
	if err == nil {
		err = unix.FsconfigSetFlag(made, "ro")
	}
	if err == nil {
		err = unix.FsconfigCreate(made)
	}
	if err != nil {
		return err
	}
	mount, err := unix.Fsmount(made, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(mount)
}

// replay settles a copy that was open when the host lost its power, before its content is shared out.
func (b *Backend) replay(ctx context.Context, d *dataset) error {
	if !d.mayWrite() || d.mounted() {
		return nil
	}
	err := b.settle(ctx, d.name)
	if errors.Is(err, errBusy) {
		return nil // it is mounted, in another namespace: its content is what it is
	}
	return err
}

// unmount ends the use of a dataset, or says who goes on. The kernel is asked first: whoever merely
// got the mount with a namespace of its own, as a service of systemd with PrivateTmp does, loses it
// with this one. What it does not end is the use by a copy of the mount that is somebody's own, such as
// a container's: then it is put back.
func (b *Backend) unmount(ctx context.Context, d *dataset) error {
	mounted, at := d.mounted(), d.properties["mountpoint"].text
	if mounted {
		switch err := unix.Unmount(at, 0); {
		case errors.Is(err, unix.EBUSY):
			return fmt.Errorf("%w: in use by %s", cluster.ErrConflict, cmp.Or(inuse.By(at), inuse.Holder(at), mounterOf(d.name, at), "a process that cannot be seen"))
		case err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT): // it is mounted elsewhere
			return os.NewSyscallError("unmount "+at, err)
		}
	}
	err := b.settle(ctx, d.name)
	switch {
	case errors.Is(err, errBusy):
		err = fmt.Errorf("%w: in use by %s", cluster.ErrConflict, cmp.Or(mounterOf(d.name, at), "a file that is open where it was unmounted lazily"))
	case err == nil:
		d.properties["mounted"] = value{"no", "-"}
		return nil
	}
	if mounted {
		err = errors.Join(err, zfs(ctx, "mount", d.name))
	}
	return err
}

// mounterOf names a process that has a dataset mounted at another place than that of its own
// namespace's, or in another namespace; "" if there is none.
func mounterOf(name, at string) string {
	own, err := os.Readlink("/proc/self/ns/mnt")
	processes, err2 := filepath.Glob("/proc/[0-9]*")
	if err != nil || err2 != nil {
		return ""
	}
	seen := map[string]bool{}
	for _, process := range processes {
		namespace, err := os.Readlink(process + "/ns/mnt")
		if err != nil || seen[namespace] {
			continue // it has ended
		}
		seen[namespace] = true
		mounts, err := os.Open(process + "/mountinfo")
		if err != nil {
			continue
		}
		place := mountedAt(bufio.NewScanner(mounts), name, func(place string) bool { return namespace != own || place != at })
		mounts.Close()
		if place != "" && namespace == own {
			return "whoever has it mounted at " + place + ", too"
		}
		if place != "" {
			comm, _ := os.ReadFile(process + "/comm") // the id alone will do
			return fmt.Sprintf("process %s (%s), which has it mounted at %s", filepath.Base(process), strings.TrimSpace(string(comm)), place)
		}
	}
	return ""
}

// mountedAt returns the first place that fits at which the lines of a mountinfo have a dataset: see
// proc_pid_mountinfo(5).
func mountedAt(lines *bufio.Scanner, name string, fits func(place string) bool) string {
	source := strings.ReplaceAll(name, " ", `\040`)
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		at, from := strings.Fields(before), strings.Fields(after)
		if len(at) > 4 && len(from) > 1 && from[0] == "zfs" && from[1] == source && fits(at[4]) {
			return at[4]
		}
	}
	return ""
}

// clearPlace makes the directory to mount at. What somebody wrote there while the volume was not
// mounted would be hidden by it, and is kept under another name.
func clearPlace(at string) error {
	err := os.Remove(at)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		err = os.Rename(at, fmt.Sprintf("%s.foreign.%d", at, time.Now().UnixNano()))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return err
	}
	return os.Mkdir(at, 0o700)
}
