package files

import (
	"context"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// racy is the longest time by which a file may be stamped earlier than it was written: the kernel
// stamps with the time of its last tick.
const racy = 20 * time.Millisecond

// A clock tells from when on the stamps of files can be believed.
//
// A page that is mapped into a program and dirty takes stores without a new stamp on its file; once
// it is written back, the next store stamps the file again. So everything is written back first, and
// what was stamped before that began has had no store since that is not in a newer stamp. The time
// is read before: while the disk is written to, a page may be cleaned, and dirtied again.
type clock struct {
	header
	frozen bool
	offset time.Duration // of the clock that stamps files to one that nobody sets
}

// startClock reads the time, and then writes back all that is dirty on the file system of a tree. A
// tree that was frozen at an earlier time has been written back since.
//
// A disk that hangs keeps the thread that writes back, for each attempt, until it answers or the host
// restarts: an attempt must not take another one's for its own, which began before its time.
func startClock(ctx context.Context, root string, frozen time.Time) (clock, error) {
	if !frozen.IsZero() {
		return clock{header: header{began: momentOf(frozen)}, frozen: true}, nil
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return clock{}, err
	}
	c := clock{header: header{began: momentOf(time.Now()), boot: strings.TrimSpace(string(boot))}, offset: sinceBoot()}
	if !stamps(root) {
		c.began = moment{}
	}
	synced := make(chan error, 1)
	go func() { synced <- syncFileSystem(root) }() // which no signal ends
	select {
	case err = <-synced:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return c, err
}

// wasSet reports whether somebody has set the wall clock meanwhile, so that no stamp of this look
// proves anything.
func (c clock) wasSet() bool {
	moved := sinceBoot() - c.offset
	return !c.frozen && (moved > racy || moved < -racy)
}

func momentOf(t time.Time) moment { return moment{t.Unix(), uint32(t.Nanosecond())} }

// sinceBoot is the difference between the wall clock and one that runs since the boot. On a host that is
// busy much time may pass between two looks at clocks: the closest of some counts.
func sinceBoot() time.Duration {
	var apart, difference int64
	for try := range 20 {
		var before, after unix.Timespec
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &before) != nil {
			return 0
		}
		wall := time.Now().UnixNano()
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &after) != nil {
			return 0
		}
		if took := after.Nano() - before.Nano(); try == 0 || took < apart {
			apart, difference = took, wall-before.Nano()
		}
		if apart < int64(time.Millisecond) {
			break
		}
	}
	return time.Duration(difference)
}

// believes reports whether a stamp is old enough for an earlier look, as seen by one that is going on.
func (now header) believes(then header, stamp moment) bool {
	return then.boot == now.boot && believed(stamp, then.began) && believed(stamp, now.began)
}

func believed(stamp, began moment) bool {
	if began.sec == 0 {
		return false
	}
	margin := racy
	if stamp.nsec == 0 { // by a file system that counts in seconds, most likely
		margin += time.Second
	}
	return stamp.before(momentOf(time.Unix(began.sec, int64(began.nsec)).Add(-margin)))
}

// stamps reports whether a file system stamps files when they are written to through a mapping. One
// that keeps files in memory alone never cleans a page, and so stamps the first store at most; what
// lies over others, as overlayfs does, may lie over one of those.
func stamps(path string) bool {
	const (
		zfs   = 0x2fc12fc1
		f2fs  = 0xf2f52010
		bcach = 0xca451a4e
	)
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return false
	}
	switch st.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, zfs, f2fs, bcach:
		return true
	}
	return false
}

// syncFileSystem writes back all that is dirty on the file system that holds path.
func syncFileSystem(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Syncfs(fd)
}
