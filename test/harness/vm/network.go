package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/drover/drover/test/harness/bridge"
	"github.com/drover/drover/test/harness/debian"
	"github.com/drover/drover/test/harness/watchdog"
)

// A Network is virtual hosts on a bridge. Use New.
type Network struct {
	Hosts []*Host
	// Gateway is the address of this machine on the network.
	Gateway string

	dir      string
	bridge   bridge.Bridge
	kernel   kernel
	initrd   string
	on       string // the program that runs commands on hosts
	watchdog *watchdog.Watchdog
}

// New makes hosts and waits until all are up. Their disks are below dir. The first call makes what
// is kept in the cache, which takes minutes. The caller ends with Close.
func New(ctx context.Context, dir string, count int, images ...Image) (*Network, error) {
	if count < 1 || count > 26 {
		return nil, fmt.Errorf("%d hosts: want 1 to 26", count)
	}
	n := &Network{dir: dir}
	if err := n.make(ctx, count, images); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Network) make(ctx context.Context, count int, images []Image) error {
	if err := os.MkdirAll(n.dir, 0o711); err != nil {
		return err
	}
	base, err := n.prepare(ctx, images)
	if err != nil {
		return err
	}
	if n.bridge, err = bridge.New(""); err != nil {
		return err
	}
	n.Gateway = n.bridge.Gateway()
	for i := range count {
		n.Hosts = append(n.Hosts, n.host(i))
	}
	if err := n.startWatchdog(); err != nil {
		return err
	}
	for _, h := range n.Hosts {
		if err := errors.Join(h.makeDisks(base), n.plugIn(h)); err != nil {
			return err
		}
	}
	return n.each(func(h *Host) error { return h.PowerOn(ctx) })
}

// prepare makes what all hosts start from, and returns their disk.
func (n *Network) prepare(ctx context.Context, images []Image) (base string, err error) {
	if n.kernel, base, err = stock(ctx, images); err != nil {
		return "", err
	}
	n.on = filepath.Join(n.dir, "on")
	build := exec.CommandContext(ctx, "go", "build", "-o", n.on, "github.com/drover/drover/test/harness/vm/on")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := finish(build); err != nil {
		return "", err
	}
	return base, n.packInitrd()
}

// Prepare makes what New keeps in the cache, if it is not there.
func Prepare(ctx context.Context, images ...Image) error {
	_, _, err := stock(ctx, images)
	return err
}

// stock returns the kernel and the disk that hosts start from.
func stock(ctx context.Context, images []Image) (k kernel, base string, err error) {
	cache, unlock, err := debian.Lock("vm")
	if err != nil {
		return k, "", err
	}
	defer unlock()
	if k, err = findKernel(ctx, cache); err != nil {
		return k, "", err
	}
	if base, err = hostDisk(ctx, cache, k, images); err != nil {
		return k, "", fmt.Errorf("make the disk of the hosts: %w", err)
	}
	return k, base, nil
}

func (n *Network) packInitrd() error {
	var b bytes.Buffer
	c := newCpio(&b)
	c.device("/dev/console", 5, 1)
	c.file("/init", 0o755, hostInit)
	c.file("/system", 0o755, hostSystem)
	c.copy("/on", n.on)
	for _, dir := range []string{"/proc", "/sys", "/mnt"} {
		c.dir(dir)
	}
	units, err := hostUnits.ReadDir("units")
	if err != nil {
		return err
	}
	for _, unit := range units {
		content, err := hostUnits.ReadFile("units/" + unit.Name())
		if err != nil {
			return err
		}
		c.file("/units/"+unit.Name(), 0o644, content)
	}
	if err := errors.Join(addModules(c, n.kernel, hostModules...), addBusybox(c), c.close()); err != nil {
		return fmt.Errorf("make the first file system of the hosts: %w", err)
	}
	n.initrd = filepath.Join(n.dir, "initrd")
	return os.WriteFile(n.initrd, b.Bytes(), 0o600)
}

// host returns the host of that number, which is not made yet.
func (n *Network) host(i int) *Host {
	h := &Host{Name: string(rune('a' + i)), Address: n.bridge.Address(2 + i), network: n, number: i}
	h.Dir = filepath.Join(n.dir, h.Name)
	h.link, h.control = "v"+n.bridge.Name+h.Name, "c"+n.bridge.Name+h.Name
	// The links for commands have addresses of their own, out of the bridge's reach.
	numbers := strings.Split(n.bridge.Prefix, ".")
	var second int
	_, _ = fmt.Sscan(numbers[1], &second) // a bridge without a given prefix has a number there
	h.here = fmt.Sprintf("10.%d.%s.1", second+64, numbers[2])
	h.there = fmt.Sprintf("10.%d.%s.%d", second+64, numbers[2], 2+i)
	return h
}

// plugIn makes the host's two cables.
func (n *Network) plugIn(h *Host) error {
	for _, args := range [][]string{
		{"tuntap", "add", h.link, "mode", "tap"},
		{"link", "set", h.link, "master", n.bridge.Name, "up"},
		{"tuntap", "add", h.control, "mode", "tap"},
		{"address", "add", h.here, "peer", h.there, "dev", h.control},
		{"link", "set", h.control, "up"},
	} {
		if err := finish(exec.Command("ip", args...)); err != nil {
			return err
		}
	}
	return nil
}

// Host returns the host of that name, or nil.
func (n *Network) Host(name string) *Host {
	for _, h := range n.Hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

// each does something with all hosts at once.
func (n *Network) each(do func(*Host) error) error {
	done := make(chan error, len(n.Hosts))
	for _, h := range n.Hosts {
		go func() { done <- do(h) }()
	}
	var errs []error
	for range n.Hosts {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}

// Close takes everything away that New and the methods have made, but for dir. If this process ends
// without it, a watchdog does that.
func (n *Network) Close() error {
	errs := []error{n.each((*Host).PowerOff)}
	for _, h := range n.Hosts {
		for _, device := range []string{h.link, h.control} {
			if _, err := os.Stat("/sys/class/net/" + device); err == nil {
				errs = append(errs, finish(exec.Command("ip", "link", "delete", device)))
			}
		}
	}
	if err := errors.Join(append(errs, n.bridge.Remove())...); err != nil {
		return err // the watchdog has another try when this process ends
	}
	return n.watchdog.Dismiss()
}
