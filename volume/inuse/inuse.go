// Package inuse finds out who uses the files below a directory.
//
//	if user := inuse.By(path); user != "" { ... "in use by " + user }
//
// It looks at every process of this host, also at those that see the files under another name, as
// containers do. It sees what its own user may see: as root, all.
package inuse

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// By returns who has files below root open for writing, or mounted for itself; "" if nobody has.
func By(root string) string {
	return cmp.Or(writerBelow(root), mounterOf(root))
}

// writerBelow returns who has a file below root open for writing, or "". It sees the processes
// that this user may look at: all of them as root.
func writerBelow(root string) string {
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return "" // only a bad pattern is an error
	}
	for _, path := range descriptors {
		target, err := os.Readlink(path)
		if err != nil || !strings.HasPrefix(target, root+"/") {
			continue
		}
		process := filepath.Dir(filepath.Dir(path))
		if opensForWriting(process, filepath.Base(path)) {
			name, _ := os.ReadFile(process + "/comm") // the id alone will do
			return "process " + filepath.Base(process) + " (" + strings.TrimSpace(string(name)) + "), which has " + target + " open"
		}
	}
	return ""
}

// opensForWriting reads the flags of a descriptor, which /proc gives in octal.
func opensForWriting(process, descriptor string) bool {
	b, err := os.ReadFile(process + "/fdinfo/" + descriptor)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if octal, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, err := strconv.ParseUint(strings.TrimSpace(octal), 8, 64)
			return err == nil && flags&(uint64(os.O_WRONLY)|uint64(os.O_RDWR)) != 0
		}
	}
	return false
}
