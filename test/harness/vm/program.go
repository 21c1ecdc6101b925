package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/drover/drover/test/harness/debian"
)

// A Program is a static program that runs in a guest of its own, which has ZFS and no network and
// is gone when the program has ended.
type Program struct {
	// Path is where it is on this machine. Args follow its name.
	Path string
	Args []string
	// Dir is its working directory. Its files are there in the guest, and what is below testdata.
	Dir string
	// Programs are those of this machine that it calls, beside what every guest has.
	Programs []string
	// Env is added to the guest's environment.
	Env []string
	// Stdout and Stderr get what it writes; nil throws that away.
	Stdout, Stderr io.Writer
}

// guestMemory is enough for pools in files below /tmp, which is in memory too.
const guestMemory = "3584M"

// consoles are what the program of a guest writes to, by the numbers of their ports: its output,
// its error output, and how it ended.
const consoles = 3

// Run runs the program to its end and returns its exit status. An error says that there is none,
// as the guest crashed.
func (p Program) Run(ctx context.Context) (status int, err error) {
	cache, unlock, err := debian.Lock("vm")
	if err != nil {
		return 0, err
	}
	k, err := findKernel(ctx, cache)
	unlock()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "drover-guest-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	initrd := filepath.Join(dir, "initrd")
	if err := p.pack(k, initrd); err != nil {
		return 0, fmt.Errorf("make the guest's file system: %w", err)
	}
	var said bytes.Buffer
	serial := filepath.Join(dir, "serial.log")
	cmd := exec.CommandContext(ctx, qemu, "-cpu", cpu, "-accel", "tcg,thread=multi", "-m", guestMemory, "-smp", "2", "-nodefaults", "-nographic", "-no-reboot",
		"-serial", "file:"+serial, "-kernel", k.image(), "-initrd", initrd, "-append", kernelWords, "-device", "virtio-serial-pci")
	err = p.boot(cmd, []io.Writer{p.Stdout, p.Stderr, &said})
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	status, convert := strconv.Atoi(strings.TrimSpace(said.String()))
	if err != nil || convert != nil {
		log, _ := os.ReadFile(serial)
		return 0, fmt.Errorf("the guest ended before its program: %w: %s; the end of its serial log:\n%s", err, cmd.Stderr, tail(log))
	}
	return status, nil
}

// boot runs a guest to its end and copies what it writes to its ports.
func (p Program) boot(cmd *exec.Cmd, to []io.Writer) error {
	copied := make(chan error, consoles)
	for n, w := range to {
		r, end, err := os.Pipe()
		if err != nil {
			return err
		}
		defer end.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, end)
		cmd.Args = append(cmd.Args, "-chardev", fmt.Sprintf("file,id=c%d,path=/proc/self/fd/%d", n+1, n+3),
			"-device", fmt.Sprintf("virtserialport,chardev=c%d,nr=%[1]d", n+1))
		go func() {
			defer r.Close()
			if w == nil {
				w = io.Discard
			}
			_, err := io.Copy(w, r)
			copied <- err
		}()
	}
	cmd.Stderr = &bytes.Buffer{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	errs := []error{cmd.Run()}
	for _, end := range cmd.ExtraFiles {
		end.Close()
	}
	for range to {
		errs = append(errs, <-copied)
	}
	return errors.Join(errs...)
}

// pack makes the file system that the guest starts with.
func (p Program) pack(k kernel, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	c := newCpio(f)
	if err := addGuest(c, k, p.Programs); err != nil {
		return err
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return err
	}
	if err := addFiles(c, dir); err != nil {
		return err
	}
	name := "/usr/local/bin/" + filepath.Base(p.Path)
	c.copy(name, p.Path)
	c.file("/program", 0o644, p.script(dir, name))
	return errors.Join(c.close(), f.Close())
}

// script runs the program as it is wanted.
func (p Program) script(dir, name string) []byte {
	var b bytes.Buffer
	for _, entry := range p.Env {
		fmt.Fprintf(&b, "export %s\n", quote(entry))
	}
	fmt.Fprintf(&b, "cd %s && exec %s", quote(dir), quote(name))
	for _, arg := range p.Args {
		fmt.Fprintf(&b, " %s", quote(arg))
	}
	return append(b.Bytes(), '\n')
}

// addFiles adds the files in a directory and all that is below its testdata.
func addFiles(c *cpioWriter, dir string) error {
	c.dir(dir)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && filepath.Dir(path) == dir && d.Name() != "testdata":
			return fs.SkipDir
		case d.IsDir():
			c.dir(path)
		}
		info, err := os.Stat(path) // also where a link leads: what is there belongs to others too
		if err == nil && info.Mode().IsRegular() {
			c.copy(path, path)
		}
		return err
	})
}

// quote makes one word of the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
