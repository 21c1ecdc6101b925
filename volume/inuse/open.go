package inuse

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// descriptors returns how many a process has, and which of them is a file of root, if one is.
func (s *search) descriptors(process string) (n int, user string, err error) {
	names, err := readNames(process + "/fd")
	if err != nil {
		return 0, "", err
	}
	for _, name := range names {
		path, err := os.Readlink(process + "/fd/" + name)
		if err != nil || !strings.HasPrefix(path, "/") {
			continue // closed since, or a socket or a pipe
		}
		id, writes, err := descriptor(process, name)
		if passed(err) != nil {
			return len(names), "", err
		}
		if err == nil && (writes || s.want == holders) && s.holds(process, id, path, process+"/fd/"+name) {
			return len(names), describe(process, path+" open"), nil
		}
	}
	return len(names), "", nil
}

// descriptor returns the mount that a descriptor was opened through and whether it can write.
func descriptor(process, name string) (mount int, writes bool, err error) {
	b, err := os.ReadFile(process + "/fdinfo/" + name)
	if err != nil {
		return 0, false, err
	}
	mount, writes = parseDescriptor(string(b))
	return mount, writes, nil
}

func parseDescriptor(text string) (mount int, writes bool) {
	mount = -1
	for line := range strings.Lines(text) {
		if octal, ok := strings.CutPrefix(line, "flags:"); ok {
			flags := number(octal, 8)
			writes = flags >= 0 && flags&unix.O_PATH == 0 && flags&unix.O_ACCMODE != unix.O_RDONLY
		} else if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			mount = number(id, 10)
		}
	}
	return mount, writes
}

// holds reports whether a file, open as that path through that mount, is one of root. Link leads to
// the file itself.
func (s *search) holds(process string, id int, path, link string) bool {
	m, known := s.mounts[id]
	if !known {
		return s.under(process, path, link)
	}
	all, some := s.shows(m)
	if all || !some {
		return all
	}
	inside, ok := m.inside(path)
	if !ok {
		return s.under(process, path, link)
	}
	_, ok = below(inside, s.root.inside)
	return ok
}

// under tells without the help of mounts whether a file is of root: if one of the directories that
// its path leads through is root.
func (s *search) under(process, path, link string) bool {
	var file unix.Stat_t
	if unix.Stat(link, &file) == nil && file.Dev != s.root.info.Dev {
		return false
	}
	for _, from := range []string{"", process + "/root"} {
		for dir := path; ; dir = filepath.Dir(dir) {
			var at unix.Stat_t
			if unix.Stat(from+dir, &at) == nil && at.Dev == s.root.info.Dev && at.Ino == s.root.info.Ino {
				return true
			}
			if dir == "/" || dir == "." {
				break
			}
		}
	}
	return false
}

// places returns the process if it works in root, has it as its root directory or runs a program
// of it.
func (s *search) places(process string) (string, error) {
	for _, place := range []string{"cwd", "root", "exe"} {
		path, id, err := follow(process + "/" + place)
		if passed(err) != nil {
			return "", err
		}
		if err == nil && s.holds(process, id, path, process+"/"+place) {
			return describe(process, path+" as its "+place), nil
		}
	}
	return "", nil
}

// follow returns where a link of /proc leads, and through which mount.
func follow(link string) (path string, mount int, err error) {
	if path, err = os.Readlink(link); err != nil {
		return "", 0, err
	}
	fd, err := unix.Open(link, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return path, 0, &os.PathError{Op: "open", Path: link, Err: err}
	}
	defer unix.Close(fd)
	mount, _, err = descriptor("/proc/self", strconv.Itoa(fd))
	return path, mount, err
}
