package inuse

import (
	"os"
	"path/filepath"
	"strings"
)

// A mount is a line of /proc/<pid>/mountinfo: see proc_pid_mountinfo(5).
type mount struct {
	device string // major:minor
	root   string // what is mounted, as a path in its file system
	at     string
}

// mounts reads the mounts that a process sees.
func mounts(process string) []mount {
	b, err := os.ReadFile(process + "/mountinfo")
	if err != nil {
		return nil // it has ended
	}
	var all []mount
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) > 4 {
			all = append(all, mount{fields[2], unescape(fields[3]), unescape(fields[4])})
		}
	}
	return all
}

// unescape undoes what the kernel does to white space in paths.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// mounterOf returns which process sees the files below root by a mount of its own: one in a
// container, where their names are other ones. It returns "" if there is none.
func mounterOf(root string) string {
	device, inside, ok := place(root)
	own, err := os.Readlink("/proc/self/ns/mnt")
	processes, err2 := filepath.Glob("/proc/[0-9]*")
	if !ok || err != nil || err2 != nil {
		return ""
	}
	seen := map[string]bool{own: true}
	for _, process := range processes {
		namespace, err := os.Readlink(process + "/ns/mnt")
		if err != nil || seen[namespace] {
			continue
		}
		seen[namespace] = true
		for _, m := range mounts(process) {
			if m.device == device && (m.root == inside || strings.HasPrefix(m.root, inside+"/")) {
				name, _ := os.ReadFile(process + "/comm") // the id alone will do
				return "process " + filepath.Base(process) + " (" + strings.TrimSpace(string(name)) + "), which has it mounted at " + m.at
			}
		}
	}
	return ""
}

// place returns the file system that a path is on, and the path in it.
func place(path string) (device, inside string, ok bool) {
	longest := -1
	for _, m := range mounts("/proc/self") {
		below, err := filepath.Rel(m.at, path)
		if err != nil || below == ".." || strings.HasPrefix(below, "../") || len(m.at) < longest {
			continue
		}
		longest, device, inside, ok = len(m.at), m.device, filepath.Join(m.root, below), true
	}
	return device, inside, ok
}
