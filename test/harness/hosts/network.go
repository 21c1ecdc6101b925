package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/drover/drover/test/harness/bridge"
	"github.com/drover/drover/test/harness/loopfs"
	"github.com/drover/drover/test/harness/watchdog"
)

// A Network is hosts on a bridge. Use New.
type Network struct {
	Hosts []*Host
	// Gateway is the address of this machine on the network.
	Gateway string

	bridge   bridge.Bridge
	watchdog *watchdog.Watchdog
}

// storageSize is that of each host's file system. Its file is sparse.
const storageSize = 20 << 30

// programs are those that a network is made with, and the Debian packages that have them.
var programs = map[string]string{"ip": "iproute2", "nsenter": "util-linux", "unshare": "util-linux", "tc": "iproute2",
	"dockerd": "docker.io", "containerd": "docker.io", "docker": "docker.io", "iptables": "iptables"}

// Available says what is missing to make hosts, or nil.
func Available() error {
	if err := loopfs.Available(); err != nil {
		return err
	}
	for program, deb := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w (Debian: %s)", err, deb)
		}
	}
	return nil
}

// New makes a network of hosts with their file systems. Their directories are below dir. The caller
// ends with Close.
func New(dir string, count int) (*Network, error) { return NewAt(dir, "", 2, count) }

// NewAt is New for hosts with certain addresses: prefix is the first three bytes, such as
// "172.16.255", first the last byte of the first host. Only one network can have them at a time.
func NewAt(dir, prefix string, first, count int) (*Network, error) {
	if count < 1 || count > 26 {
		return nil, fmt.Errorf("%d hosts: want 1 to 26", count)
	}
	n := &Network{}
	if err := n.make(dir, prefix, first, count); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Network) make(dir, prefix string, first, count int) error {
	var err error
	if n.bridge, err = bridge.New(prefix); err != nil {
		return err
	}
	n.Gateway = n.bridge.Gateway()
	for i := range count {
		h := &Host{Name: string(rune('a' + i)), Address: n.bridge.Address(first + i)}
		h.Dir = filepath.Join(dir, h.Name)
		h.namespace = n.bridge.Name + h.Name
		h.link = "v" + n.bridge.Name + h.Name
		n.Hosts = append(n.Hosts, h)
	}
	if err := n.startWatchdog(); err != nil {
		return err
	}
	for _, h := range n.Hosts {
		if err := os.MkdirAll(h.Dir, 0o711); err != nil {
			return err
		}
		var err error
		if h.fs, err = loopfs.Btrfs(h.Dir, storageSize); err != nil {
			return err
		}
		h.Storage = h.fs.Path
		if err := n.plugIn(h); err != nil {
			return err
		}
	}
	return nil
}

// plugIn makes the host's network namespace and connects it to the bridge.
func (n *Network) plugIn(h *Host) error {
	inside := []string{"-n", h.namespace}
	for _, args := range [][]string{
		{"netns", "add", h.namespace},
		{"link", "add", h.link, "type", "veth", "peer", "name", "eth0", "netns", h.namespace},
		{"link", "set", h.link, "master", n.bridge.Name, "up"},
		append(inside, "address", "add", h.Address+"/24", "dev", "eth0"),
		append(inside, "link", "set", "lo", "up"),
		append(inside, "link", "set", "eth0", "up"),
	} {
		if err := run("ip", args...); err != nil {
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

// Unplug takes the host's cable out: nobody reaches it, and it reaches nobody.
func (n *Network) Unplug(h *Host) error { return run("ip", "link", "set", h.link, "down") }

// Plug puts it in again.
func (n *Network) Plug(h *Host) error { return run("ip", "link", "set", h.link, "up") }

// Cut lets nothing pass between two hosts, in silence, as a broken link between switches does.
// Others reach both.
func (n *Network) Cut(a, b *Host) error { return n.between(a, b, "-I") }

// Heal undoes Cut.
func (n *Network) Heal(a, b *Host) error { return n.between(a, b, "-D") }

func (n *Network) between(a, b *Host, action string) error {
	var errs []error
	for _, way := range [][2]*Host{{a, b}, {b, a}} {
		errs = append(errs, way[0].inside("iptables", "-w", action, "INPUT", "-s", way[1].Address, "-j", "DROP"))
	}
	return errors.Join(errs...)
}

// Slow limits what the host can send and receive, in bytes per second; zero means no limit.
func (n *Network) Slow(h *Host, bytesPerSecond int64) error {
	var errs []error
	for _, end := range []struct {
		device string
		run    func(name string, args ...string) error
	}{{h.link, run}, {"eth0", h.inside}} {
		if bytesPerSecond == 0 {
			errs = append(errs, end.run("tc", "qdisc", "del", "dev", end.device, "root"))
			continue
		}
		errs = append(errs, end.run("tc", "qdisc", "replace", "dev", end.device, "root", "tbf",
			"rate", fmt.Sprintf("%dbit", bytesPerSecond*8), "burst", "256kb", "latency", "100ms"))
	}
	return errors.Join(errs...)
}

// inside runs a command on the host to its end.
func (h *Host) inside(name string, args ...string) error {
	return finish(h.Command(name, args...))
}

// StartEngines starts the Docker engine of every host.
func (n *Network) StartEngines(ctx context.Context) error {
	started := make(chan error, len(n.Hosts))
	for _, h := range n.Hosts {
		go func() { started <- h.StartEngine(ctx) }()
	}
	var errs []error
	for range n.Hosts {
		errs = append(errs, <-started)
	}
	return errors.Join(errs...)
}

// Close takes everything away that New and the methods have made. If this process ends without it,
// a watchdog does that.
func (n *Network) Close() error {
	removed := make(chan error, len(n.Hosts))
	for _, h := range n.Hosts {
		go func() { removed <- h.remove() }()
	}
	var errs []error
	for range n.Hosts {
		errs = append(errs, <-removed)
	}
	if err := errors.Join(append(errs, n.bridge.Remove())...); err != nil {
		return err // the watchdog has another try when this process ends
	}
	return n.watchdog.Dismiss()
}

func run(name string, args ...string) error { return finish(exec.Command(name, args...)) }

func finish(cmd *exec.Cmd) error {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}

// cgroupRoots are where the hierarchies of cgroups are mounted: one, or one per controller.
func cgroupRoots() []string {
	roots, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs") // only a bad pattern is an error
	for i := range roots {
		roots[i] = filepath.Dir(roots[i])
	}
	return append(roots, "/sys/fs/cgroup")
}

// removeCgroups removes what engines leave of their containers' cgroups. They are empty by now, and
// removed from below.
func removeCgroups(root string) {
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		for range 10 {
			if os.Remove(dirs[i]) == nil {
				break
			}
			time.Sleep(10 * time.Millisecond) // a process that was killed is still leaving it
		}
	}
}
