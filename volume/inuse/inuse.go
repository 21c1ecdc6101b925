// Package inuse finds out who uses the files below a directory.
//
//	if user := inuse.By(path); user != "" { ... "in use by " + user }
//
// It looks at every process of this host, also at those that see the files under another name, as
// containers do. It sees what its own user may see: as root, all.
//
// Nothing is told by the text of a path as its user wrote it. A file belongs to the directory if
// the kernel says that it was opened through a mount that shows the directory, and where in the
// file system:
//
//	/proc/<pid>/fdinfo/<fd>   mnt_id: 41
//	/proc/<pid>/mountinfo     41 27 254:0 /lib/volumes/db /data ...
//	                                |     |               where that namespace has it
//	                                |     what of the file system it shows
//	                                the file system, one for all subvolumes of a btrfs
//
// So symbolic links, bind mounts and other namespaces change nothing.
//
// It does not see who got a descriptor through a socket and has not taken it out yet, nor what the
// kernel itself has open: loop devices, swap, an NFS server.
package inuse

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// By returns who writes to files below root or can at any time, "" if nobody: who has one open for
// writing or mapped so, and who has them mounted for itself, as a container has. A process that got
// all the host's mounts with a namespace of its own, as systemd gives one to a service with
// PrivateTmp=, is no user by that alone.
//
// If it cannot look, the answer is not "nobody".
func By(root string) string { return find(root, writers) }

// Holder returns who has any file below root open, mapped or as its working directory, reading or
// writing, in any namespace; "" if nobody. That is who keeps the kernel from unmounting it: ask the
// kernel first. Who merely has it mounted, idle, is none.
func Holder(root string) string { return find(root, holders) }

// A kind is whom to look for.
type kind int

const (
	writers kind = iota
	holders
)

func find(root string, want kind) string {
	at, err := locate(root)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	user := ""
	if err == nil {
		s := &search{root: at, want: want, mounts: map[int]mount{}, seen: map[string]bool{}}
		user, err = s.run()
	}
	if err != nil {
		return "somebody perhaps, which cannot be told: " + err.Error()
	}
	return user
}

// A search is one look at all processes.
type search struct {
	root place
	want kind
	// mounts are those of all namespaces, by the number that the kernel gave each.
	mounts map[int]mount
	// own are those of this process, in its namespace.
	own       []mount
	namespace string
	// seen are the namespaces whose mounts are known, each with the root of the process that told.
	seen map[string]bool
}

func (s *search) run() (string, error) {
	if _, err := s.learn("/proc/self"); err != nil {
		return "", err
	}
	entries, err := readNames("/proc")
	if err != nil {
		return "", err
	}
	var processes []string
	for _, name := range entries {
		if name[0] >= '1' && name[0] <= '9' {
			processes = append(processes, "/proc/"+name)
		}
	}
	// All mounts first: a process may have files of any namespace open.
	for _, look := range []func(string) (string, error){s.learn, s.look} {
		for _, process := range processes {
			user, err := look(process)
			if err = passed(err); user != "" || err != nil {
				return user, err
			}
		}
	}
	return "", nil
}

// passed leaves out the errors that only say that a process has ended or belongs to somebody else.
func passed(err error) error {
	for _, usual := range []error{unix.ENOENT, unix.ESRCH, unix.EACCES, unix.EPERM, unix.EINVAL} {
		if errors.Is(err, usual) {
			return nil
		}
	}
	return err
}

// look returns what a process has of root.
func (s *search) look(process string) (string, error) {
	n, user, err := s.descriptors(process)
	if user == "" && passed(err) == nil {
		user, err = s.mappings(process)
	}
	if user == "" && passed(err) == nil && s.want == holders {
		user, err = s.places(process)
	}
	if n > 0 || user != "" || passed(err) != nil {
		return user, err
	}
	// The first thread of a process may have ended before the others, which have the files.
	threads, err := readNames(process + "/task")
	if err != nil || len(threads) < 2 {
		return "", err
	}
	for _, thread := range threads {
		if _, user, err := s.descriptors(process + "/task/" + thread); user != "" || passed(err) != nil {
			return user, err
		}
		if user, err := s.mappings(process + "/task/" + thread); user != "" || passed(err) != nil {
			return user, err
		}
	}
	return "", nil
}

// describe names a process, and what it does.
func describe(process, does string) string {
	name, _ := os.ReadFile(process + "/comm") // the id alone will do
	id := strings.TrimPrefix(process, "/proc/")
	id, _, _ = strings.Cut(id, "/")
	return "process " + id + " (" + strings.TrimSpace(string(name)) + "), which has " + does
}

// readNames returns the names in a directory, in no order.
func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// number reads one of /proc; -1 if it is none.
func number(s string, base int) int {
	n, err := strconv.ParseInt(strings.TrimSpace(s), base, 64)
	if err != nil || n < 0 {
		return -1
	}
	return int(n)
}
