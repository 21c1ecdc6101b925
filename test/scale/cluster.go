package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/store/bolt"
	"github.com/drover/drover/control/store/mem"
)

const (
	volumesPerNode = 10
	firstPort      = 10_000
	// mostAgents have a port each.
	mostAgents = 65_536 - firstPort
	// part is how many nodes are configured in one write.
	part = 1000
)

// The ids and names of the simulated cluster follow from a number: nobody needs to hand them round.

func nodeID(n int) cluster.NodeID {
	return cluster.NodeID(fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n))
}

func appName(n int) cluster.AppName { return cluster.AppName(fmt.Sprintf("app-%05d", n)) }

func volumeName(n, i int) string { return fmt.Sprintf("volume-%05d-%d", n, i) }

func volumeID(n, i int) cluster.VolumeID {
	return cluster.VolumeIDForName(cluster.AppName(volumeName(n, i)))
}

func address(n int) string { return fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255) }

func endpoint(n int) string { return address(n) + ":5432" }

func node(n int) cluster.Node {
	return cluster.Node{
		ID: nodeID(n), Name: fmt.Sprintf("node-%05d", n), Address: address(n), Era: "era", Backend: "dir", Runtime: "process",
		TransferAddress: address(n) + ":4524", GossipAddress: address(n) + ":4525",
		TransferKey: fmt.Sprintf("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%06d", n),
		Version:     "scale", Streams: 1,
	}
}

// configure adds a node's part of the configuration.
func configure(c *cluster.Configuration, n int) {
	for i := range volumesPerNode {
		id := volumeID(n, i)
		c.Volumes[id] = cluster.Volume{ID: id, Name: volumeName(n, i), Primary: nodeID(n)}
	}
	c.Applications[appName(n)] = cluster.Application{Name: appName(n), Image: "postgres", Node: nodeID(n),
		Ports:  []cluster.Port{{Internal: 5432, External: firstPort + n}},
		Volume: &cluster.Attachment{Volume: volumeID(n, 0), Mountpoint: "/data"}}
}

// state is what a node reports that has done what is asked of it.
func state(n int, at string) cluster.NodeState {
	s := cluster.NodeState{Node: nodeID(n), Era: "era", Every: beatEvery, Trash: []cluster.VolumeID{}, FreeBytes: 1 << 40, Missing: []cluster.NodeID{}}
	for i := range volumesPerNode {
		s.Volumes = append(s.Volumes, primary(volumeID(n, i), 1))
	}
	s.Applications = []cluster.Instance{{Name: appName(n), Volume: s.Volumes[0].Volume, Epoch: 1, Running: true, Healthy: true,
		Started: time.Unix(1, 0).UTC(), Endpoints: map[int]string{5432: at}}}
	return s
}

func primary(id cluster.VolumeID, epoch cluster.Epoch) cluster.Copy {
	return cluster.Copy{Volume: id, Role: cluster.Primary, Epoch: epoch, Open: true, Path: "/var/lib/drover/" + string(id), UsedBytes: 1 << 30}
}

// writeCluster writes a store in which all nodes have registered and done what is asked of them. The service's own
// rules make its content, in memory; it is on disk in one write.
func writeCluster(ctx context.Context, path string, nodes int) error {
	m := mem.New()
	defer m.Close()
	s, err := control.Open(ctx, m, control.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	for n := range nodes {
		if err := s.Register(ctx, node(n)); err != nil {
			return err
		}
	}
	for from := 0; from < nodes; from += part {
		if _, err := s.Edit(ctx, func(c *cluster.Configuration) error {
			for n := from; n < min(nodes, from+part); n++ {
				configure(c, n)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	for n := range nodes {
		if err := s.Report(ctx, state(n, endpoint(n))); err != nil {
			return err
		}
	}
	records, _, err := m.Load(ctx)
	if err != nil {
		return err
	}
	whole := store.Batch{Put: map[string][]byte{}}
	for key, r := range records {
		whole.Put[key] = r.Value
	}
	b, err := bolt.Open(path)
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = b.Write(ctx, whole)
	return err
}
