package cluster

import (
	"crypto/md5"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// An Application is one service of the user and the node where it shall run.
type Application struct {
	Name AppName `json:"name"`
	// Image is needed by the docker runtime, ignored by the process runtime.
	Image string `json:"image,omitempty"`
	// Command is the program and its arguments; with an image it replaces the image's own.
	Command     []string          `json:"command,omitempty"`
	Ports       []Port            `json:"ports,omitempty"`
	Links       []Link            `json:"links,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	Volume      *Attachment       `json:"volume,omitempty"`
	Limits      Limits            `json:"limits,omitzero"`
	Restart     RestartPolicy     `json:"restart,omitzero"`
	Stop        StopPolicy        `json:"stop,omitzero"`
	// User is the account that the process runtime runs the command as; empty: the agent's own.
	User string `json:"user,omitempty"`
	// Scratch are paths in its container whose content may be lost: it goes with the container.
	Scratch []string `json:"scratch,omitempty"`
	// Health is how to tell that the application serves. Without it, its ports must accept.
	Health *HealthCheck `json:"health,omitempty"`
	// Node is where it shall run; empty: nowhere. An application with a volume runs where the
	// volume's owner is, and moves there by a move.
	Node NodeID `json:"node,omitempty"`
}

// A Port makes an application's internal port reachable as an external port of every node.
type Port struct {
	Internal int `json:"internal"`
	External int `json:"external"`
}

// A Link lets an application find another one: it is told the address of its own node's proxy
// at RemotePort under the name of Alias and LocalPort.
type Link struct {
	LocalPort  int    `json:"local_port"`
	RemotePort int    `json:"remote_port"`
	Alias      string `json:"alias"`
}

// Environment returns the variables that a link sets, given the address of the node's proxy:
// ALIAS_PORT_<local>_TCP and its parts, as Docker's links did.
func (l Link) Environment(address string) map[string]string {
	port := itoa(l.RemotePort)
	prefix := strings.ToUpper(strings.ReplaceAll(l.Alias, "-", "_")) + "_PORT_" + itoa(l.LocalPort) + "_TCP"
	return map[string]string{
		prefix:            "tcp://" + address + ":" + port,
		prefix + "_PROTO": "tcp",
		prefix + "_ADDR":  address,
		prefix + "_PORT":  port,
	}
}

// An Attachment is an application's use of a volume.
type Attachment struct {
	Volume     VolumeID `json:"volume"`
	Mountpoint string   `json:"mountpoint"`
}

// Limits bound what an application may use. Zero means no limit.
type Limits struct {
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	CPUShares   int   `json:"cpu_shares,omitempty"`
	// Swappiness is kept for the v1 API; 0 is the engine's default.
	Swappiness int `json:"swappiness,omitempty"`
}

// RestartName is when an application that ended is started again.
type RestartName string

// The restart policies. The zero value means never.
const (
	RestartNever     RestartName = "never"
	RestartAlways    RestartName = "always"
	RestartOnFailure RestartName = "on-failure"
)

// A RestartPolicy says whether an application that ended is started again.
type RestartPolicy struct {
	Name RestartName `json:"name,omitempty"`
	// MaximumRetryCount bounds on-failure; zero means no bound.
	MaximumRetryCount int `json:"maximum_retry_count,omitempty"`
}

// A StopPolicy says how to ask an application to end.
type StopPolicy struct {
	// Signal such as "SIGINT"; empty means the image's, else SIGTERM.
	Signal string `json:"signal,omitempty"`
	// Timeout is how long it may take; zero means DefaultStopTimeout.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Before is a command that runs beside the application shortly before a move stops it, while
	// clients are still served: what it makes the application write out, the pause need not.
	Before []string `json:"before,omitempty"`
}

// DefaultStopTimeout is how long an application may take to stop when it does not say.
const DefaultStopTimeout = 10 * time.Second

// Patience returns the time that the application may take to stop.
func (p StopPolicy) Patience() time.Duration {
	if p.Timeout > 0 {
		return p.Timeout
	}
	return DefaultStopTimeout
}

// A HealthCheck is a command whose exit status 0 means healthy.
type HealthCheck struct {
	Command  []string      `json:"command"`
	Interval time.Duration `json:"interval,omitempty"`
	Timeout  time.Duration `json:"timeout,omitempty"`
}

// Clone returns a copy that shares nothing with a.
func (a Application) Clone() Application {
	a.Command = slices.Clone(a.Command)
	a.Scratch = slices.Clone(a.Scratch)
	a.Stop.Before = slices.Clone(a.Stop.Before)
	a.Ports = slices.Clone(a.Ports)
	a.Links = slices.Clone(a.Links)
	a.Environment = cloneMap(a.Environment)
	if a.Volume != nil {
		v := *a.Volume
		a.Volume = &v
	}
	if a.Health != nil {
		h := *a.Health
		h.Command = slices.Clone(h.Command)
		a.Health = &h
	}
	return a
}

// MayLeave returns nil if the application may leave a node where it keeps data of its own at these
// paths, which no volume carries along: because its volume covers them now, or the user says that
// they may be lost. Else it is ErrRefused, and says the ways out.
func (a Application) MayLeave(node string, kept []string) error {
	var lost []string
	for _, at := range kept {
		if !slices.Contains(a.Scratch, at) && !(a.Volume != nil && path.Clean(a.Volume.Mountpoint) == at) {
			lost = append(lost, at)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	paths := strings.Join(lost, ", ")
	return WithHint(fmt.Errorf("%w: %s has data at %s that is in no volume and would be left on %s (its image declares a VOLUME there)",
		ErrRefused, a.Name, paths, node),
		"copy it into its volume, and let that be mounted there; or say that the content may be lost: scratch: ["+paths+"]")
}

// VolumeIDForName returns the volume id that an application file implies for an application
// without an explicit one. It is Flocker's rule (a UUID made from the MD5 of the name), so that
// the same file finds the same data.
func VolumeIDForName(name AppName) VolumeID {
	return VolumeID(formatUUID(md5.Sum([]byte(name))))
}
