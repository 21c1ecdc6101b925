package vm

import (
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/drover/drover/internal/localcluster"
)

// Cluster returns a cluster with a node per host, with Docker, that is not started yet. Flags are
// added to the command line of every agent; unless they name a backend, it is ZFS. The control
// service runs on this machine.
func (n *Network) Cluster(binary, dir string, flags ...string) *localcluster.Cluster {
	c := &localcluster.Cluster{Binary: binary, Dir: dir, Nodes: len(n.Hosts), Runtime: "docker", AgentFlags: flags,
		On: func(name string) localcluster.Place {
			h := n.Host(name)
			if h == nil {
				return localcluster.Place{Address: n.Gateway, Command: exec.Command}
			}
			return localcluster.Place{Address: h.Address, Data: filepath.Join(h.Dir, "drover"), Command: h.Command,
				Flags: h.AgentFlags, Send: h.Send}
		},
	}
	if !slices.Contains(flags, "--backend") {
		c.Backend, c.AgentFlags = "zfs", append([]string{"--pool", "tank/drover"}, flags...)
	}
	return c
}
