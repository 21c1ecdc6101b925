// Package plugin speaks Docker's volume plugin protocol: engines make, mount and list volumes of
// the cluster by it.
//
//	d := &plugin.Driver{Cluster: c, Log: log}
//	err := d.Serve(ctx, "/run/docker/plugins/drover.sock")
//
//	docker run -v pgdata:/data --> engine --Create, Mount, Unmount--> Driver --> Cluster
//
// What is asked about is answered from what this host knows, at once; what is to be done is bounded
// below the engine's own patience, and an error says what it was waiting for. Errors are sentences
// that the engine passes on to whoever sits in front of it.
//
// The package knows neither the control service nor the agent, and keeps nothing: who may use a
// volume is for its Cluster to say.
package plugin

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	docker "github.com/docker/go-plugins-helpers/volume"

	"github.com/drover/drover/cluster"
)

// A Cluster is what engines drive.
type Cluster interface {
	// Create makes a volume and returns when it is there. One that is there as requested is no error.
	Create(ctx context.Context, r Request) error
	// Remove puts a volume into the trash. One that is not there is no error.
	Remove(ctx context.Context, name string) error
	// Mount makes the volume this node's and returns its path. Until Unmount with the same mount, an
	// id of the engine's, it stays.
	Mount(ctx context.Context, name, mount string) (path string, err error)
	Unmount(ctx context.Context, name, mount string) error
	// Volumes returns all volumes of the cluster, as this host knows them, without waiting.
	Volumes() []Volume
	// Volume returns one of them; cluster.ErrNotFound, with what became of it, if there is none of that name.
	// With detailed it has its Status, which may take a moment.
	Volume(name string, detailed bool) (Volume, error)
}

// A Volume is what this host knows of one.
type Volume struct {
	Name string
	// Path is where containers of this host find it; empty: none uses it.
	Path string
	// Status is for people.
	Status map[string]any
}

// Patience is how long a Driver takes at most to do something: engines wait for two minutes.
const Patience = 100 * time.Second

// A Driver answers engines. Cluster and Log must be set.
type Driver struct {
	Cluster Cluster
	Log     *slog.Logger
	// Patience replaces the constant of that name, if it is set.
	Patience time.Duration

	ctx   context.Context // of Serve
	busy  sync.WaitGroup
	asked atomic.Int64 // how often anything was asked to be done
}

// Create implements docker.Driver.
func (d *Driver) Create(r *docker.CreateRequest) error {
	return d.do("create", r.Name, func(ctx context.Context) error {
		request, err := parse(r.Name, r.Options)
		if err != nil {
			return err
		}
		return d.Cluster.Create(ctx, request)
	})
}

// Remove implements docker.Driver.
func (d *Driver) Remove(r *docker.RemoveRequest) error {
	return d.do("remove", r.Name, func(ctx context.Context) error { return d.Cluster.Remove(ctx, r.Name) })
}

// Mount implements docker.Driver.
func (d *Driver) Mount(r *docker.MountRequest) (*docker.MountResponse, error) {
	var path string
	err := d.do("mount", r.Name, func(ctx context.Context) (err error) {
		path, err = d.Cluster.Mount(ctx, r.Name, r.ID)
		return err
	})
	return &docker.MountResponse{Mountpoint: path}, err
}

// Unmount implements docker.Driver.
func (d *Driver) Unmount(r *docker.UnmountRequest) error {
	return d.do("unmount", r.Name, func(ctx context.Context) error { return d.Cluster.Unmount(ctx, r.Name, r.ID) })
}

// Path implements docker.Driver.
func (d *Driver) Path(r *docker.PathRequest) (*docker.PathResponse, error) {
	v, err := d.find(r.Name, false)
	return &docker.PathResponse{Mountpoint: v.Path}, err
}

// Get implements docker.Driver.
func (d *Driver) Get(r *docker.GetRequest) (*docker.GetResponse, error) {
	v, err := d.find(r.Name, true)
	return &docker.GetResponse{Volume: &docker.Volume{Name: v.Name, Mountpoint: v.Path, Status: v.Status}}, err
}

func (d *Driver) find(name string, detailed bool) (Volume, error) {
	v, err := d.Cluster.Volume(name, detailed)
	if err != nil {
		return v, sentence("no such", "volume", err)
	}
	return v, nil
}

// List implements docker.Driver.
func (d *Driver) List() (*docker.ListResponse, error) {
	all := &docker.ListResponse{}
	for _, v := range d.Cluster.Volumes() {
		all.Volumes = append(all.Volumes, &docker.Volume{Name: v.Name, Mountpoint: v.Path})
	}
	return all, nil
}

// Capabilities implements docker.Driver: what one engine sees all do.
func (d *Driver) Capabilities() *docker.CapabilitiesResponse {
	return &docker.CapabilitiesResponse{Capabilities: docker.Capability{Scope: "global"}}
}

// do does something within the Driver's patience, and makes its error a sentence.
func (d *Driver) do(what, name string, act func(context.Context) error) error {
	d.asked.Add(1)
	d.busy.Add(1)
	defer d.busy.Done()
	if !cluster.ValidName(name) {
		return fmt.Errorf("%s %.130q: not a valid name for a volume: use letters, digits, '_', '.' and '-', starting with a letter or digit", what, name)
	}
	patience := d.Patience
	if patience == 0 {
		patience = Patience
	}
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	began := time.Now()
	err := act(ctx)
	log := d.Log.With("volume", name, "took", time.Since(began).Round(time.Millisecond))
	if err == nil {
		log.Info(what + " done")
		return nil
	}
	log.Warn(what+" failed", "error", err)
	return sentence(what, name, err)
}

// sentence is an error with what to do about it, since the engine passes on its text alone.
func sentence(what, name string, err error) error {
	return fmt.Errorf("%s %s: %s", what, name, cluster.Told(err, nil))
}
