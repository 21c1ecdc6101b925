// Package hosts makes hosts on one machine: each a network namespace on a common bridge, with a
// Docker engine and a btrfs file system of its own. Tests run clusters on them, and people play.
//
//	n, err := hosts.New(dir, 3)
//	defer n.Close()
//	host := n.Hosts[0]
//	err = host.StartEngine(ctx)
//	cmd := host.Command("drover", "agent", "--address", host.Address, ...)
//	n.Cut(a, b)
//
//	         bridge, 10.x.y.1
//	    /           |            \
//	host a       host b        host c       network namespaces
//	10.x.y.2     10.x.y.3      10.x.y.4
//	dockerd      dockerd       dockerd      private mounts, data on
//	btrfs        btrfs         btrfs        loop devices in files
//
// Everything has a name of this network alone, so that several run side by side. Close takes
// everything away, also what is half made. It needs root.
package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/test/harness/loopfs"
)

// A Host is one host of a Network.
type Host struct {
	// Name is a, b, c ...
	Name string
	// Address is its IP address on the network.
	Address string
	// Dir is its directory; Storage is a btrfs file system in it.
	Dir, Storage string
	// AgentFlags are added to the command line of the host's agent when it is started next.
	AgentFlags []string

	namespace string // of the network
	link      string // the bridge's end of its cable
	fs        *loopfs.FS
	engine    *exec.Cmd
	ended     chan struct{} // closed when the engine has ended
}

// Command returns a command that runs on the host. It gets a process group of its own, so that a
// Ctrl-C at the terminal does not end it behind the back of whoever runs it.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"--net=" + h.namespacePath(), "--", name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// EngineSocket is where the host's Docker engine listens.
func (h *Host) EngineSocket() string { return filepath.Join(h.Dir, "docker.sock") }

// EngineHost is that as the docker command wants it.
func (h *Host) EngineHost() string { return "unix://" + h.EngineSocket() }

// PluginSocket is where the host's Docker engine looks for the volume plugin that is called drover.
func (h *Host) PluginSocket() string { return filepath.Join(h.Dir, "plugins", "drover.sock") }

// Docker returns a docker command that talks to the host's engine.
func (h *Host) Docker(args ...string) *exec.Cmd {
	return exec.Command(dockerClient(), append([]string{"--host", h.EngineHost()}, args...)...)
}

// dockerClient is the docker command: that which belongs to the engine, if there are several.
func dockerClient() string {
	if _, err := os.Stat("/usr/bin/docker"); err == nil {
		return "/usr/bin/docker"
	}
	return "docker"
}

// execRoot is short: the sockets below it have names of limited length.
func (h *Host) execRoot() string { return filepath.Join("/run", h.namespace) }

func (h *Host) namespacePath() string { return "/run/netns/" + h.namespace }

// engineScript runs dockerd in the host's network with mounts of its own: what it mounts is gone
// when it is. It joins only the network, not what `ip netns exec` would hide besides: the engine
// needs the cgroups.
const engineScript = `set -e
mount --make-rprivate /
mkdir -p "$6" /run/docker/plugins
mount --bind "$6" /run/docker/plugins
exec nsenter --net="$1" dockerd --data-root "$2" --exec-root "$3" --pidfile "$3/docker.pid" -H "$4" \
  --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "$5" --log-level warn`

// StartEngine starts the host's Docker engine and waits until it answers.
func (h *Host) StartEngine(ctx context.Context) error {
	execRoot := h.execRoot()
	if err := os.MkdirAll(execRoot, 0o700); err != nil {
		return err
	}
	// An engine that was killed leaves a containerd behind that died with it. Where nobody reaps
	// it, the next engine takes it for alive.
	if err := os.RemoveAll(filepath.Join(execRoot, "containerd", "containerd.pid")); err != nil {
		return err
	}
	log, err := os.OpenFile(h.engineLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("unshare", "--mount", "sh", "-c", engineScript, "sh",
		h.namespacePath(), filepath.Join(h.Storage, "docker"), execRoot, h.EngineHost(), "/"+h.namespace, filepath.Dir(h.PluginSocket()))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	h.engine, h.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in its log
	}(h.ended)
	for {
		ping, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := exec.CommandContext(ping, dockerClient(), "--host", h.EngineHost(), "version").Run()
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-h.ended:
			return fmt.Errorf("the Docker engine of host %s has ended:\n%s", h.Name, h.engineTail())
		case <-ctx.Done():
			return fmt.Errorf("wait for the Docker engine of host %s: %w:\n%s", h.Name, ctx.Err(), h.engineTail())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (h *Host) engineLog() string { return filepath.Join(h.Dir, "docker.log") }

func (h *Host) engineTail() string {
	b, err := os.ReadFile(h.engineLog())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// StopEngine ends the engine by a signal and waits until it has ended. SIGTERM ends its containers
// with it.
func (h *Host) StopEngine(signal syscall.Signal) {
	if h.engine == nil {
		return
	}
	_ = h.engine.Process.Signal(signal) // gone already is as good
	select {
	case <-h.ended:
	case <-time.After(30 * time.Second):
		_ = h.engine.Process.Kill()
		<-h.ended
	}
	h.engine = nil
}

// Processes returns the ids of all processes on the host: those in its network namespace, with
// the engine's containers.
func (h *Host) Processes() ([]int, error) {
	out, err := exec.Command("ip", "netns", "pids", h.namespace).Output()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, field := range strings.Fields(string(out)) {
		var pid int
		if _, err := fmt.Sscan(field, &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return append(pids, h.Contained()...), nil
}

// Contained returns the processes of the host's containers, by the cgroup that all are below.
func (h *Host) Contained() []int {
	var pids []int
	for _, root := range cgroupRoots() {
		_ = filepath.WalkDir(filepath.Join(root, h.namespace), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.Name() != "cgroup.procs" {
				return nil // gone in between
			}
			b, _ := os.ReadFile(path)
			for _, field := range strings.Fields(string(b)) {
				var pid int
				if _, err := fmt.Sscan(field, &pid); err == nil {
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	return pids
}

// PowerOff ends everything on the host at once, as pulling its plug would; what is on its disk
// stays.
func (h *Host) PowerOff() error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		pids, err := h.Processes()
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended by itself
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("host %s: processes %v do not end", h.Name, pids)
		}
		time.Sleep(20 * time.Millisecond) // for the kernel to end them
	}
	h.StopEngine(syscall.SIGKILL)
	// Both are in memory, as everything below /run.
	return errors.Join(os.RemoveAll(h.execRoot()), os.RemoveAll(filepath.Dir(h.PluginSocket())))
}

// PowerOn brings a host up again that was powered off.
func (h *Host) PowerOn(ctx context.Context) error { return h.StartEngine(ctx) }

// remove takes the host away.
func (h *Host) remove() error {
	var errs []error
	h.StopEngine(syscall.SIGTERM)
	if _, err := os.Stat(h.namespacePath()); err == nil {
		errs = append(errs, h.PowerOff(), run("ip", "netns", "delete", h.namespace))
	}
	if h.fs != nil {
		errs = append(errs, h.fs.Remove())
	}
	for _, root := range cgroupRoots() {
		removeCgroups(filepath.Join(root, h.namespace))
	}
	return errors.Join(append(errs, os.RemoveAll(h.execRoot()))...)
}
