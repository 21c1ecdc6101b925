// Package bridge makes bridges on this machine, each with a network of its own, for hosts that tests
// are run on: network namespaces or virtual machines.
//
//	b, err := bridge.New("")
//	defer b.Remove()
//	host at b.Address(2), plugged into b.Name
//
//	this machine: 10.x.y.1 --- bridge drvXxY --- hosts: 10.x.y.2, 10.x.y.3 ...
//
// It needs root.
package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
)

// A Bridge is one. Use New.
type Bridge struct {
	// Name is that of its device, and no other bridge's.
	Name string
	// Prefix is the first three bytes of the addresses.
	Prefix string
}

// New makes a bridge with a network that nothing else uses, or with that of prefix. The name is
// the lock: two processes cannot both make it. What is half made comes with an error: Remove it.
func New(prefix string) (Bridge, error) {
	var err error
	for range 50 {
		b := Bridge{Prefix: prefix}
		if prefix == "" {
			b.Prefix = fmt.Sprintf("10.%d.%d", 64+rand.IntN(64), rand.IntN(256))
		}
		numbers := strings.Split(b.Prefix, ".")
		b.Name = "drv" + numbers[1] + "x" + numbers[2]
		if err = run("ip", "link", "add", b.Name, "type", "bridge"); err != nil {
			continue
		}
		return b, errors.Join(
			run("ip", "address", "add", b.Gateway()+"/24", "dev", b.Name),
			run("ip", "link", "set", b.Name, "up"),
			// Where packets across a bridge pass through iptables, an engine's rules may drop them.
			run("iptables", b.pass("-I")...))
	}
	return Bridge{}, err
}

// Address is that of one host.
func (b Bridge) Address(last int) string { return fmt.Sprintf("%s.%d", b.Prefix, last) }

// Gateway is the address of this machine.
func (b Bridge) Gateway() string { return b.Address(1) }

func (b Bridge) pass(action string) []string {
	return []string{"-w", action, "FORWARD", "-i", b.Name, "-o", b.Name, "-j", "ACCEPT"}
}

// Remove takes the bridge away, if it was made.
func (b Bridge) Remove() error {
	if b.Name == "" {
		return nil
	}
	return errors.Join(run("iptables", b.pass("-D")...), run("ip", "link", "delete", b.Name))
}

// RemoveScript does the same, for a shell.
func (b Bridge) RemoveScript() string {
	return fmt.Sprintf("iptables %s\nip link delete %s\n", strings.Join(b.pass("-D"), " "), b.Name)
}

func run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}
