package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/drover/drover/test/harness/debian"
)

// kernelPackage depends on the newest kernel for virtual machines, which is small and boots fast.
const kernelPackage = "linux-image-cloud-amd64"

// A kernel is Debian's, with OpenZFS: a tree with boot/vmlinuz-RELEASE, lib/modules/RELEASE and the
// programs of ZFS with their libraries.
type kernel struct{ release, tree string }

func (k kernel) image() string { return filepath.Join(k.tree, "boot", "vmlinuz-"+k.release) }

func (k kernel) modules() string { return filepath.Join(k.tree, "lib", "modules", k.release) }

// libraries is where Debian has shared libraries, below a root.
var libraries = []string{"lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"}

// findKernel returns the newest kernel, from the cache if it was built before. It takes minutes
// otherwise. The caller holds the lock of the cache.
func findKernel(ctx context.Context, cache string) (kernel, error) {
	apt, err := debian.NewApt(ctx, filepath.Join(cache, "apt"))
	if err != nil {
		return kernel{}, err
	}
	versions, err := apt.Remember("versions", func() (string, error) { return newest(ctx, apt) })
	if err != nil {
		return kernel{}, err
	}
	release, name, ok := strings.Cut(versions, " ")
	if !ok {
		return kernel{}, fmt.Errorf("the versions of the kernel and of ZFS are %q", versions)
	}
	k := kernel{release: release, tree: filepath.Join(cache, name)}
	if _, err := os.Stat(k.tree); err == nil {
		return k, nil
	}
	return k, k.build(ctx, apt, cache)
}

// newest returns the release of the newest kernel, and a name for it with the newest ZFS.
func newest(ctx context.Context, apt *debian.Apt) (string, error) {
	images, err := apt.Depends(ctx, kernelPackage)
	if err != nil {
		return "", err
	}
	linux, err := apt.Version(ctx, images[0])
	if err != nil {
		return "", err
	}
	zfs, err := apt.Version(ctx, "zfs-dkms")
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(images[0], "linux-image-") + " kernel-" + linux + "-zfs-" + zfs, nil
}

// build makes the tree beside its place and moves it there when it is whole.
func (k kernel) build(ctx context.Context, apt *debian.Apt, cache string) (err error) {
	work, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	made := kernel{release: k.release, tree: filepath.Join(work, "tree")}
	packages := []string{"linux-image-" + k.release, "zfsutils-linux"}
	programs, err := apt.Depends(ctx, "zfsutils-linux")
	if err != nil {
		return err
	}
	for _, name := range programs {
		if strings.HasSuffix(name, "linux") { // libzfs4linux and its like, of the same source
			packages = append(packages, name)
		}
	}
	if err := apt.Unpack(ctx, made.tree, packages...); err != nil {
		return err
	}
	if err := buildModules(ctx, apt, made, filepath.Join(work, "source")); err != nil {
		return fmt.Errorf("build OpenZFS for Linux %s: %w", k.release, err)
	}
	return os.Rename(made.tree, k.tree)
}

// buildModules builds the modules of zfs-dkms against the kernel's headers, which are unpacked and
// not installed.
func buildModules(ctx context.Context, apt *debian.Apt, k kernel, source string) error {
	headers := "linux-headers-" + k.release
	dependencies, err := apt.Depends(ctx, headers)
	if err != nil {
		return err
	}
	packages := []string{headers, "zfs-dkms"}
	var shared string
	for _, name := range dependencies {
		if compiler, ok := strings.CutPrefix(name, "linux-compiler-"); ok {
			if err := hasCompiler(compiler); err != nil {
				return err
			}
			continue // it would bring nothing but the compiler
		}
		if strings.HasSuffix(name, "-common") {
			shared = filepath.Join(source, "usr", "src", name)
		}
		packages = append(packages, name)
	}
	if err := apt.Unpack(ctx, source, packages...); err != nil {
		return err
	}
	own := filepath.Join(source, "usr", "src", headers)
	// Debian's names the place where the package would be installed.
	if err := os.WriteFile(filepath.Join(own, "Makefile"), []byte("include "+filepath.Join(shared, "Makefile")+"\n"), 0o644); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(source, "usr", "src", "zfs-*"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("find the source of ZFS: %q, %w", found, err)
	}
	for _, args := range [][]string{
		{"./configure", "--quiet", "--with-config=kernel", "--with-linux=" + shared, "--with-linux-obj=" + own},
		{"make", "--silent", fmt.Sprintf("-j%d", runtime.NumCPU())},
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = found[0]
		if err := finish(cmd); err != nil {
			return err
		}
	}
	return collect(ctx, filepath.Join(found[0], "module"), filepath.Join(k.modules(), "extra"))
}

// hasCompiler looks for the compiler that a package such as linux-compiler-gcc-12-x86 stands for.
func hasCompiler(name string) error {
	program, _ := strings.CutSuffix(name, "-x86")
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%w (Debian: %s)", err, program)
	}
	return nil
}

// collect strips what was built and copies it to one directory.
func collect(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(from, "*", "*.ko"))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("there are no modules below %s", from)
	}
	for _, path := range found {
		if err := finish(exec.CommandContext(ctx, "strip", "--strip-debug", "-o", filepath.Join(to, filepath.Base(path)), path)); err != nil {
			return err
		}
	}
	return nil
}
