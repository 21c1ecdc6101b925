package vm

import (
	"bytes"
	"context"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed host.sh
var hostInit []byte

//go:embed system.sh
var hostSystem []byte

// hostUnits are those of systemd on a host.
//
//go:embed units
var hostUnits embed.FS

// systemdWords tell systemd what to start, and to keep to itself what goes well. It makes AppArmor known
// to Docker, which would want programs for it.
const systemdWords = "apparmor=0 systemd.unit=host.target systemd.show_status=false systemd.log_level=warning systemd.log_target=console"

// hostModules are what a host needs before it has its disk.
var hostModules = []string{"virtio_pci", "virtio_blk", "virtio_net"}

// controlPort is where a host takes commands, on a link of its own to this machine.
const controlPort = "4520"

// hostMemory is that of one host.
const hostMemory = "1024M"

// A Host is one host of a Network.
type Host struct {
	// Name is a, b, c ...
	Name string
	// Address is its IP address on the network.
	Address string
	// Dir is its directory on this machine, and one on the host's first disk.
	Dir string
	// AgentFlags are added to the command line of the host's agent when it is started next.
	AgentFlags []string

	network *Network
	number  int    // of the host's network cards
	link    string // the bridge's end of its cable
	control string // this machine's end of the link for commands
	here    string // this machine's address on it
	there   string // the host's
	machine *exec.Cmd
	ended   chan struct{} // closed when the machine has ended
	look    looker
}

// Command returns a command that runs on the host. Its signals, stops, input and output are those of
// the command there, and killing it kills that. It reaches the host also when that is unplugged.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(h.network.on, append([]string{h.there + ":" + controlPort, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// Docker returns a docker command that talks to the host's engine.
func (h *Host) Docker(args ...string) *exec.Cmd { return h.Command("docker", args...) }

// Send copies files and directories of this machine to the same places on the host.
func (h *Host) Send(paths ...string) error {
	pack := exec.Command("tar", append([]string{"-P", "-c", "--"}, paths...)...)
	packed, err := pack.StdoutPipe()
	if err != nil {
		return err
	}
	unpack := h.Command("tar", "-P", "-x")
	unpack.Stdin = packed
	if err := pack.Start(); err != nil {
		return err
	}
	// A loss of power must not undo it.
	return errors.Join(finish(unpack), pack.Wait(), finish(h.Command("sync")))
}

// Cable is this machine's end of the host's cable: a network device.
func (h *Host) Cable() string { return h.link }

// Serial is the log of the host's console.
func (h *Host) Serial() string { return filepath.Join(h.Dir, "serial.log") }

func (h *Host) disk() string { return filepath.Join(h.Dir, "disk.qcow2") }

func (h *Host) pool() string { return filepath.Join(h.Dir, "pool.raw") }

func (h *Host) pidFile() string { return filepath.Join(h.Dir, "qemu.pid") }

// makeDisks makes what survives a loss of power: a disk that differs from that of the other hosts
// by what is written, and one for the pool.
func (h *Host) makeDisks(base string) error {
	if err := os.MkdirAll(h.Dir, 0o711); err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(h.pool(), partitionTable(), 0o600), os.Truncate(h.pool(), poolSize)); err != nil {
		return err
	}
	return finish(exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, h.disk()))
}

// poolSize is that of a host's pool. The file is sparse.
const poolSize = 4 << 30

// partitionTable is the first sector of a disk with one partition. ZFS would partition a whole disk
// itself, and wait for somebody to make the device of the partition.
func partitionTable() []byte {
	const first, sector, solaris = 2048, 512, 0xbf
	table := make([]byte, sector)
	entry := table[446:]
	entry[4] = solaris
	binary.LittleEndian.PutUint32(entry[8:], first)
	binary.LittleEndian.PutUint32(entry[12:], poolSize/sector-first)
	table[510], table[511] = 0x55, 0xaa
	return table
}

// PowerOn starts the machine and waits until its engine answers and its pool is there.
func (h *Host) PowerOn(ctx context.Context) error {
	if err := h.start(); err != nil {
		return fmt.Errorf("start host %s: %w", h.Name, err)
	}
	for {
		ready := h.Command("sh", "-c", "test -S /run/docker.sock && docker version")
		done := make(chan error, 1)
		go func() { done <- ready.Run() }()
		select {
		case err := <-done:
			if err == nil {
				h.look.power(true)
				return nil
			}
		case <-h.ended:
		case <-ctx.Done():
		}
		select {
		case <-h.ended:
			return fmt.Errorf("host %s has ended; the end of its console:\n%s", h.Name, h.tail())
		case <-ctx.Done():
			return fmt.Errorf("wait for host %s: %w; the end of its console:\n%s", h.Name, ctx.Err(), h.tail())
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (h *Host) start() error {
	words := []string{kernelWords, systemdWords, "vm_name=" + h.Name, "vm_address=" + h.Address, "vm_gateway=" + h.network.Gateway,
		"vm_control=" + h.there, "vm_here=" + h.here, "vm_port=" + controlPort}
	cmd := exec.Command(qemu, "-name", h.link, "-cpu", cpu, "-accel", "tcg,thread=multi", "-m", hostMemory, "-smp", "1",
		"-nodefaults", "-nographic", "-no-reboot", "-pidfile", h.pidFile(), "-serial", "file:"+h.Serial(),
		"-kernel", h.network.kernel.image(), "-initrd", h.network.initrd, "-append", strings.Join(words, " "),
		"-drive", "if=virtio,format=qcow2,file="+h.disk(),
		"-drive", "if=virtio,format=raw,cache=unsafe,file="+h.pool(),
		"-netdev", "tap,id=n0,script=no,downscript=no,ifname="+h.link, "-device", "virtio-net-pci,netdev=n0,romfile=,mac="+h.mac(0),
		"-netdev", "tap,id=n1,script=no,downscript=no,ifname="+h.control, "-device", "virtio-net-pci,netdev=n1,romfile=,mac="+h.mac(1))
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	h.machine, h.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		if err := cmd.Wait(); err != nil && said.Len() > 0 {
			_ = os.WriteFile(h.Serial(), said.Bytes(), 0o600) // it came to no console
		}
	}(h.ended)
	return nil
}

func (h *Host) mac(card int) string { return fmt.Sprintf("52:54:00:00:%02x:%02x", card, h.number) }

func (h *Host) tail() string {
	b, err := os.ReadFile(h.Serial())
	if err != nil {
		return err.Error()
	}
	return tail(b)
}

// PowerOff takes the host's power away. What is on its disks stays; nothing is written to them any
// more.
func (h *Host) PowerOff() error {
	if h.machine == nil {
		return nil
	}
	_ = h.machine.Process.Kill() // it may have ended by itself
	<-h.ended
	h.machine = nil
	h.look.power(false)
	return nil
}
