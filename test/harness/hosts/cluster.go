package hosts

import (
	"os/exec"
	"path/filepath"

	"github.com/drover/drover/internal/localcluster"
)

// Cluster returns a cluster with a node per host, with Docker and btrfs, that is not started yet.
// The control service runs on this machine. Flags are added to the command line of every agent.
func (n *Network) Cluster(binary, dir string, flags ...string) *localcluster.Cluster {
	return &localcluster.Cluster{
		Binary: binary, Dir: dir, Nodes: len(n.Hosts), Backend: "btrfs", Runtime: "docker", AgentFlags: flags,
		On: func(name string) localcluster.Place {
			h := n.Host(name)
			if h == nil {
				return localcluster.Place{Address: n.Gateway, Command: exec.Command}
			}
			return localcluster.Place{Address: h.Address, Data: filepath.Join(h.Storage, "drover"), Command: h.Command,
				Flags: append([]string{"--docker-host", h.EngineHost(), "--plugin-socket", h.PluginSocket()}, h.AgentFlags...)}
		},
	}
}
