package vm

import (
	"errors"
	"fmt"
	"os/exec"
)

// Unplug takes the host's cable out: nobody reaches it, and it reaches nobody. Commands still do.
func (n *Network) Unplug(h *Host) error {
	return finish(exec.Command("ip", "link", "set", h.link, "down"))
}

// Plug puts it in again.
func (n *Network) Plug(h *Host) error { return finish(exec.Command("ip", "link", "set", h.link, "up")) }

// Cut lets nothing pass between two hosts, in silence, as a broken link between switches does.
// Others reach both.
func (n *Network) Cut(a, b *Host) error { return n.between(a, b, "-I") }

// Heal undoes Cut.
func (n *Network) Heal(a, b *Host) error { return n.between(a, b, "-D") }

func (n *Network) between(a, b *Host, action string) error {
	var errs []error
	for _, way := range [][2]*Host{{a, b}, {b, a}} {
		errs = append(errs, finish(way[0].Command("iptables", "-w", action, "INPUT", "-s", way[1].Address, "-j", "DROP")))
	}
	return errors.Join(errs...)
}

// Slow limits what the host can receive, in bytes per second; zero means no limit.
func (n *Network) Slow(h *Host, bytesPerSecond int64) error {
	if bytesPerSecond == 0 {
		return finish(exec.Command("tc", "qdisc", "del", "dev", h.link, "root"))
	}
	return finish(exec.Command("tc", "qdisc", "replace", "dev", h.link, "root", "tbf",
		"rate", fmt.Sprintf("%dbit", bytesPerSecond*8), "burst", "256kb", "latency", "100ms"))
}
