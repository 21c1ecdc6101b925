package ssh

import (
	"io"
	"io/fs"
	"os"
	"time"
)

// A listing is the content of a directory.
type listing []os.FileInfo

// ListAt implements sftp.ListerAt.
func (l listing) ListAt(to []os.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(to, l[offset:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

// info describes a file of the tree. The size of a stream is not known before it is made; what
// is shown is about what it will be.
type info struct {
	name string
	size int64
	mode fs.FileMode
	time time.Time
}

func directory(name string) info                        { return info{name: name, mode: fs.ModeDir | 0o755} }
func regular(name string, size int64, t time.Time) info { return info{name, size, 0o644, t} }

func (i info) Name() string      { return i.name }
func (i info) Size() int64       { return i.size }
func (i info) Mode() fs.FileMode { return i.mode }
func (i info) IsDir() bool       { return i.mode.IsDir() }
func (i info) Sys() any          { return nil }

// ModTime is now for what is made when it is looked at.
func (i info) ModTime() time.Time {
	if i.time.IsZero() {
		return time.Now()
	}
	return i.time
}
