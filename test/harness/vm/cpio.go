package vm

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// A cpioWriter writes an archive as the kernel reads it at boot ("newc"). Archives that follow one
// another are one file system to the kernel.
type cpioWriter struct {
	w    io.Writer
	dirs map[string]bool
	node int
	err  error
}

func newCpio(w io.Writer) *cpioWriter { return &cpioWriter{w: w, dirs: map[string]bool{"/": true}} }

// file adds a regular file of that content.
func (c *cpioWriter) file(name string, perm fs.FileMode, content []byte) {
	c.dir(path.Dir(name))
	c.entry(name, 0o100000|uint32(perm.Perm()), content)
}

// copy adds a file of this machine under another name.
func (c *cpioWriter) copy(name, from string) {
	content, err := os.ReadFile(from)
	if err == nil {
		var info fs.FileInfo
		if info, err = os.Stat(from); err == nil {
			c.file(name, info.Mode(), content)
		}
	}
	if err != nil && c.err == nil {
		c.err = err
	}
}

func (c *cpioWriter) link(name, to string) {
	c.dir(path.Dir(name))
	c.entry(name, 0o120777, []byte(to))
}

// dir adds a directory and those above it, unless they are there.
func (c *cpioWriter) dir(name string) {
	if c.dirs[name] {
		return
	}
	c.dirs[name] = true
	c.dir(path.Dir(name))
	c.entry(name, 0o040755, nil)
}

func (c *cpioWriter) device(name string, major, minor int) {
	c.dir(path.Dir(name))
	c.header(name, 0o020600, 0, major, minor)
}

func (c *cpioWriter) entry(name string, mode uint32, content []byte) {
	c.header(name, mode, len(content), 0, 0)
	c.write(content)
	c.pad(len(content))
}

func (c *cpioWriter) header(name string, mode uint32, size, major, minor int) {
	name = strings.TrimPrefix(name, "/")
	c.node++
	header := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		c.node, mode, 0, 0, 1, 0, size, 0, 0, major, minor, len(name)+1, 0, name)
	c.write([]byte(header))
	c.pad(len(header))
}

// close ends the archive.
func (c *cpioWriter) close() error {
	c.header("TRAILER!!!", 0, 0, 0, 0)
	return c.err
}

func (c *cpioWriter) pad(size int) { c.write(make([]byte, -size&3)) }

func (c *cpioWriter) write(b []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(b)
	}
}
