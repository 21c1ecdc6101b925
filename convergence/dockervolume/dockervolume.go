// Package dockervolume does for a container engine what its volume plugin promises: it makes volumes,
// brings them to this host when a container is about to start here, and knows what there is.
//
//	c := dockervolume.New(&dockervolume.Host{Node: id, Control: client, Agent: agentsocket.Client{Dir: dir}, Dir: dir, Log: log})
//	go c.Run(ctx)
//	path, err := c.Mount(ctx, "pgdata", mount)
//
//	volume/plugin --> Host --> control service    create, delete, move here     plugin's certificate
//	                  |------> agent of this host  use, release                  its socket
//	                  `------> files of this host  what is known, who uses what
//
// It runs in a process of its own, so that the engine is answered when the agent is not there. It
// decides nothing: who may use a volume the owner's agent decides.
package dockervolume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/agentsocket"
	"github.com/drover/drover/convergence/mounts"
	"github.com/drover/drover/internal/sleep"
	"github.com/drover/drover/volume/plugin"
)

// Control is what a Host needs of the control service. Package client implements it.
type Control interface {
	VolumeChanges(ctx context.Context, since cluster.Revision, wait time.Duration) (wire.VolumeChanges, bool, error)
	Nodes(ctx context.Context) ([]wire.NodeStatus, error)
	Volume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error)
	CreateVolume(ctx context.Context, r wire.VolumeRequest) (wire.VolumeStatus, error)
	DeleteVolume(ctx context.Context, nameOrID string) (wire.VolumeStatus, error)
	RequestMove(ctx context.Context, r wire.MoveRequest) (cluster.Move, error)
	Move(ctx context.Context, id cluster.MoveID, since cluster.Revision, wait time.Duration) (cluster.Move, cluster.Revision, error)
}

// A Host is plugin.Cluster for the containers of one host. All fields must be set. Use New.
type Host struct {
	Node    cluster.NodeID
	Control Control
	Agent   agentsocket.Agent
	// Dir is the data directory of the agent.
	Dir string
	Log *slog.Logger

	volumes *volumeCache

	mu sync.Mutex
	// owed are the uses of which the agent has not heard yet that they have ended.
	owed []use
}

const (
	// pause is how long to wait before asking again.
	pause = 50 * time.Millisecond
	// pollWait is how long the control service may keep a question for what changed.
	pollWait = 5 * time.Second
	// glance bounds a question whose answer is nice to have.
	glance = 300 * time.Millisecond
	// controlWait is for how long a control service that does not answer may be starting.
	controlWait = 5 * time.Second
)

// New completes a Host with what its host knew before a restart.
func New(c *Host) *Host {
	c.volumes = openVolumeCache(c.Dir, c.Log)
	return c
}

// Run follows the control service, and tells the agent what it has missed, until ctx ends.
func (c *Host) Run(ctx context.Context) error {
	var owing sync.WaitGroup
	owing.Go(func() { c.keepSettling(ctx) })
	defer owing.Wait()
	return c.volumes.follow(ctx, c.Control, c.Log)
}

// Remove implements plugin.Cluster.
func (c *Host) Remove(ctx context.Context, name string) error {
	err := c.patient(ctx, func() error {
		_, err := c.Control.DeleteVolume(ctx, name)
		return err
	})
	if errors.Is(err, cluster.ErrNotFound) {
		return nil // as it was asked for
	}
	return err
}

// patient repeats a call to a control service that is just being started again.
func (c *Host) patient(ctx context.Context, call func() error) error {
	for began := time.Now(); ; {
		err := call()
		if !errors.Is(err, cluster.ErrUnavailable) || time.Since(began) > controlWait || sleep.For(ctx, 4*pause) != nil {
			return err
		}
	}
}

// Volumes implements plugin.Cluster.
func (c *Host) Volumes() []plugin.Volume {
	paths := c.paths()
	var all []plugin.Volume
	for _, v := range c.volumes.all() {
		all = append(all, plugin.Volume{Name: v.Name, Path: paths[v.ID]})
	}
	return all
}

// paths returns where the volumes are that containers of this host use.
func (c *Host) paths() map[cluster.VolumeID]string {
	used, err := mounts.Read(filepath.Join(c.Dir, mounts.Dir))
	if err != nil {
		c.Log.Error("not all uses of volumes are known", "error", err)
	}
	paths := map[cluster.VolumeID]string{}
	for _, v := range used {
		paths[v.Source.ID] = v.Source.Path
	}
	return paths
}

// Volume implements plugin.Cluster. It asks the control service only while that answers, and never
// for long.
func (c *Host) Volume(name string, detailed bool) (plugin.Volume, error) {
	ctx, cancel := context.WithTimeout(context.Background(), glance)
	defer cancel()
	brief, asOf, current := c.volumes.find(name)
	if brief.ID == "" && current && cluster.ValidName(name) {
		// It may be younger than what is known. Saying no would have Docker make another one.
		if err := c.volumes.ask(ctx, c.Control, 0, c.Log); err != nil {
			c.volumes.lost()
		}
		brief, asOf, current = c.volumes.find(name)
	}
	if brief.ID == "" {
		return plugin.Volume{}, c.missing(ctx, name, current)
	}
	v := plugin.Volume{Name: name, Path: c.paths()[brief.ID]}
	if !detailed {
		return v, nil
	}
	v.Status = map[string]any{"id": brief.ID, "owner": brief.Owner, "epoch": brief.Epoch, "size": brief.MaximumSize}
	if current {
		status, err := c.Control.Volume(ctx, string(brief.ID))
		if err == nil {
			detail(v.Status, status)
			return v, nil
		}
		c.volumes.lost()
	}
	v.Status["as_of"] = asOf.Format(time.RFC3339)
	v.Status["note"] = fmt.Sprintf("the control service is away: this was so %s ago", time.Since(asOf).Round(time.Second))
	return v, nil
}

// missing says what became of a volume that is not there, as far as that can be learned at once.
func (c *Host) missing(ctx context.Context, name string, current bool) error {
	if current && cluster.ValidName(name) {
		if _, err := c.Control.Volume(ctx, name); errors.Is(err, cluster.ErrNotFound) {
			return err
		}
	}
	return fmt.Errorf("volume %q: %w: it is not in the cluster", name, cluster.ErrNotFound)
}
