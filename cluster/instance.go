package cluster

import (
	"cmp"
	"time"
)

// A Spec is all that an instance is made from.
type Spec struct {
	Application Application
	// Epoch is the ownership epoch of the application's volume, zero without one.
	Epoch Epoch
	// VolumePath is where the volume is on this node, empty without one.
	VolumePath string
	// Address is this node's: its proxy listens on it, links lead to it.
	Address string
	// Private is the address at which the application's own ports are, for proxies alone; empty
	// is Address.
	Private string
}

// PublishAddress is where the application's own ports are.
func (s Spec) PublishAddress() string { return cmp.Or(s.Private, s.Address) }

// An Instance is an application as the runtime, and then its agent, sees it.
type Instance struct {
	Name AppName `json:"name"`
	// Volume is the volume of the application and Epoch its ownership epoch, both as in the spec
	// that the instance was made from. Routes ignore an endpoint with another epoch than the volume's record.
	Volume VolumeID `json:"volume,omitempty"`
	Epoch  Epoch    `json:"epoch,omitempty"`
	// Fingerprint is Spec.Fingerprint of the spec that it was made from.
	Fingerprint string `json:"fingerprint,omitempty"`
	Running     bool   `json:"running"`
	// Healthy: the health check passes; without one, every port accepts connections. What an agent reports
	// runs, too.
	Healthy bool      `json:"healthy"`
	Started time.Time `json:"started,omitzero"`
	// Ended, ExitStatus and Reason are of the last end, if it is not running. Reason is a
	// sentence such as "exited with status 1" or "killed by SIGKILL"; in a report it also says why it is not healthy.
	Ended      time.Time `json:"ended,omitzero"`
	ExitStatus int       `json:"exit_status,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	// Asked: it ended because of Stop or Kill, or because its host went down; its restart policy
	// has no say in whether it is started again.
	Asked bool `json:"asked,omitempty"`
	// Endpoints maps internal ports to the host:port that serves them.
	Endpoints map[int]string `json:"endpoints,omitempty"`
	// Keeps are the paths at which it has data of its own, which stay on the node: see runtime.Keeper.
	Keeps []string `json:"keeps,omitempty"`
	// Restarts counts how often its agent has started it again.
	Restarts int `json:"restarts,omitempty"`
	// Settling is why its agent says that one that runs, and may serve, is not yet what the configuration
	// asks for: what runs is of a former definition, or was started so lately that it may end at once.
	Settling string `json:"settling,omitempty"`
}
