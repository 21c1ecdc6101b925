package vm

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// loader is what starts programs with shared libraries.
const loader = "/lib64/ld-linux-x86-64.so.2"

// hidden libraries are opened when they are wanted; no program says that it needs them.
var hidden = []string{"libgcc_s.so.1"}

// addPrograms adds programs to an archive, each at its place, with the shared libraries that they
// need. Both are looked for in the roots, in that order.
func addPrograms(c *cpioWriter, roots []string, programs ...string) error {
	var wanted []string
	for _, program := range programs {
		path, err := below(roots, program)
		if err != nil {
			return err
		}
		c.copy(program, path)
		needs, err := needed(path)
		if err != nil {
			return err
		}
		wanted = append(wanted, needs...)
	}
	c.copy(loader, loader)
	wanted = append(wanted, hidden...)
	for done := 0; done < len(wanted); done++ {
		name := wanted[done]
		if name == filepath.Base(loader) || slices.Contains(wanted[:done], name) {
			continue
		}
		var places []string
		for _, dir := range libraries {
			places = append(places, filepath.Join(dir, name))
		}
		path, err := below(roots, places...)
		if err != nil {
			return fmt.Errorf("find a shared library: %w", err)
		}
		c.copy(filepath.Join("/", libraries[0], name), path)
		needs, err := needed(path)
		if err != nil {
			return err
		}
		wanted = append(wanted, needs...)
	}
	return nil
}

// below returns the first file that is at one of the places below one of the roots.
func below(roots []string, places ...string) (string, error) {
	for _, root := range roots {
		for _, place := range places {
			path := filepath.Join(root, place)
			if _, err := os.Stat(path); err == nil {
				return path, nil
			} else if !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
	}
	return "", fmt.Errorf("%v below %v: %w", places, roots, fs.ErrNotExist)
}

func needed(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	return f.ImportedLibraries()
}

// addBusybox adds busybox under all its names, but for those that are there as programs of their
// own.
func addBusybox(c *cpioWriter, except ...string) error {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("%w (Debian: busybox-static)", err)
	}
	c.copy("/bin/busybox", path)
	out, err := exec.Command(path, "--list-full").Output()
	if err != nil {
		return fmt.Errorf("list the commands of busybox: %w", err)
	}
	for name := range slices.Values(lines(out)) {
		if name = "/" + name; name != "/bin/busybox" && !slices.Contains(except, name) {
			c.link(name, "/bin/busybox")
		}
	}
	return nil
}
