package inuse

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A mount is a line of /proc/<pid>/mountinfo: see proc_pid_mountinfo(5).
type mount struct {
	id     int
	device string // major:minor
	root   string // what is mounted, as a path in its file system
	at     string // from the root of the namespace
}

// parseMounts reads the mounts that a process sees, whose root is at that path in its namespace.
func parseMounts(text, root string) []mount {
	var all []mount
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if id := number(fields[0], 10); id >= 0 {
			all = append(all, mount{id, fields[2], unescape(fields[3]), filepath.Join(root, unescape(fields[4]))})
		}
	}
	return all
}

// unescape undoes what the kernel does to white space in paths.
func unescape(path string) string {
	if !strings.Contains(path, `\`) {
		return path
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// A place is the directory whose users are looked for.
type place struct {
	device string // of its file system, as mounts have it
	inside string // the path in that file system
	info   unix.Stat_t
}

// locate finds a directory, by whichever path it was given.
func locate(path string) (place, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return place{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var p place
	if err := unix.Fstat(fd, &p.info); err != nil {
		return place{}, os.NewSyscallError("fstat", err)
	}
	link := "/proc/self/fd/" + strconv.Itoa(fd)
	real, err := os.Readlink(link)
	if err != nil {
		return place{}, err
	}
	id, _, err := descriptor("/proc/self", strconv.Itoa(fd))
	if err != nil {
		return place{}, err
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return place{}, err
	}
	for _, m := range parseMounts(string(text), "/") {
		if m.id == id {
			p.device = m.device
			p.inside, _ = m.inside(real)
			return p, nil
		}
	}
	return place{}, &os.PathError{Op: "find the mount of", Path: real, Err: unix.ENOSYS}
}

// inside turns a path in the namespace of a mount into one in its file system.
func (m mount) inside(path string) (string, bool) {
	rest, ok := below(path, m.at)
	return filepath.Join(m.root, rest), ok
}

// below returns what a path is below another, "" for that itself.
func below(path, dir string) (rest string, ok bool) {
	if dir == "/" {
		return path[min(len(path), 1):], strings.HasPrefix(path, "/")
	}
	rest, ok = strings.CutPrefix(path, dir)
	if !ok || (rest != "" && rest[0] != '/') {
		return "", false
	}
	return rest, true
}

// shows reports whether everything that a mount shows is of root, or something may be.
func (s *search) shows(m mount) (all, some bool) {
	if m.device != s.root.device {
		return false, false
	}
	_, all = below(m.root, s.root.inside)
	_, some = below(s.root.inside, m.root)
	return all, some || all
}

// learn takes in the mounts of a process, if it is the first with its namespace, and returns it if
// it has root mounted for itself.
func (s *search) learn(process string) (string, error) {
	namespace, err := os.Readlink(process + "/ns/mnt")
	if err != nil {
		return "", err
	}
	root, err := os.Readlink(process + "/root")
	if err != nil {
		return "", err
	}
	if s.seen[namespace+root] {
		return "", nil
	}
	text, err := os.ReadFile(process + "/mountinfo")
	if err != nil {
		return "", err
	}
	s.seen[namespace+root] = true
	mounts := parseMounts(string(text), root)
	for _, m := range mounts {
		s.mounts[m.id] = m
	}
	if s.namespace == "" {
		s.namespace, s.own = namespace, mounts
	}
	if s.want != writers || s.namespace == namespace {
		return "", nil
	}
	return s.mounter(process, mounts), nil
}

// mounter returns the process if its namespace has root mounted, and did not merely receive a copy
// of a mount that this one has.
func (s *search) mounter(process string, theirs []mount) string {
	cloned := false
	for _, m := range theirs {
		if m.at == "/" {
			cloned = s.has(m)
		}
	}
	for _, m := range theirs {
		if all, _ := s.shows(m); all && !(cloned && s.has(m)) {
			return describe(process, "it mounted at "+m.at)
		}
	}
	return ""
}

// has reports whether this process sees the same mounted at the same place.
func (s *search) has(m mount) bool {
	for _, own := range s.own {
		if own.device == m.device && own.root == m.root && own.at == m.at {
			return true
		}
	}
	return false
}
