package dockervolume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/internal/sleep"
	"github.com/drover/drover/volume/plugin"
)

// replicasLabel is how many replicas a volume shall have, among its metadata.
const replicasLabel = "replicas"

// Create implements plugin.Cluster. It returns when the owner has made the volume. One that the owner
// cannot make is taken back.
func (c *Host) Create(ctx context.Context, r plugin.Request) error {
	request, err := c.request(ctx, r)
	if err != nil {
		return err
	}
	var v wire.VolumeStatus
	err = c.patient(ctx, func() error {
		v, err = c.Control.CreateVolume(ctx, request)
		return err
	})
	made := err == nil
	if errors.Is(err, cluster.ErrExists) {
		if v, err = c.look(ctx, r.Name); err == nil {
			err = differences(request, v.Volume)
		}
	}
	if err != nil {
		return err
	}
	err = c.awaitBirth(ctx, v)
	if made && errors.Is(err, errFailed) {
		if _, again := c.Control.DeleteVolume(ctx, string(v.Volume.ID)); again != nil {
			err = fmt.Errorf("%w; it could not be taken back: %v", err, again)
		}
	}
	return err
}

// request is what the control service is asked for: a volume on this node unless the request names
// another, or a clone where its source is.
func (c *Host) request(ctx context.Context, r plugin.Request) (wire.VolumeRequest, error) {
	w := wire.VolumeRequest{Name: r.Name, Node: r.Node, MaximumSize: r.Size, Profile: r.Profile, Options: r.Settings, Metadata: maps.Clone(r.Labels)}
	if r.From != "" {
		w.Origin = &cluster.Origin{Volume: cluster.VolumeID(r.From), Snapshot: cluster.SnapshotName(r.Snapshot)}
	} else if r.Node == "" {
		w.Node = string(c.Node)
	}
	if r.Replicas > 0 {
		if w.Metadata == nil {
			w.Metadata = map[string]string{}
		}
		w.Metadata[replicasLabel] = strconv.Itoa(r.Replicas)
	}
	if r.Backend == "" || w.Node == "" {
		return w, nil
	}
	return w, c.checkBackend(ctx, w.Node, r.Backend)
}

// checkBackend refuses a node that has another backend.
func (c *Host) checkBackend(ctx context.Context, wanted, backend string) error {
	nodes, err := c.Control.Nodes(ctx)
	if err != nil {
		return err
	}
	var with []string
	has := ""
	for _, n := range nodes {
		if n.Node.Backend == backend {
			with = append(with, n.Node.Name)
		}
		if wanted == string(n.Node.ID) || wanted == n.Node.Name || wanted == n.Node.Address {
			has, wanted = n.Node.Backend, n.Node.Name
		}
	}
	if has == backend || has == "" { // one that is not there the control service refuses
		return nil
	}
	err = fmt.Errorf("%w: node %s stores with %s, not with %s", cluster.ErrRefused, wanted, has, backend)
	if len(with) > 0 {
		err = cluster.WithHint(err, "choose another node with -o node=: "+strings.Join(with, ", "))
	}
	return err
}

// differences says in what a volume that exists is not what was asked for. What was not asked for may
// be as it is.
func differences(r wire.VolumeRequest, v cluster.Volume) error {
	var found []string
	differ := func(what string, wanted, is any) {
		found = append(found, fmt.Sprintf("its %s is %v, not %v", what, is, wanted))
	}
	if r.MaximumSize != 0 && r.MaximumSize != v.MaximumSize {
		differ("size", r.MaximumSize, v.MaximumSize)
	}
	if r.Profile != "" && r.Profile != v.Profile {
		differ("profile", r.Profile, strconv.Quote(v.Profile))
	}
	for _, set := range []struct {
		noun       string
		wanted, is map[string]string
	}{{"setting", r.Options, v.Options}, {"label", r.Metadata, v.Metadata}} {
		for _, key := range slices.Sorted(maps.Keys(set.wanted)) {
			if set.wanted[key] != set.is[key] {
				differ(set.noun+" "+key, strconv.Quote(set.wanted[key]), strconv.Quote(set.is[key]))
			}
		}
	}
	if r.Origin != nil && v.Origin == nil {
		found = append(found, "it is no clone")
	}
	if len(found) == 0 {
		return nil
	}
	err := fmt.Errorf("volume %s %w: %s", r.Name, cluster.ErrExists, strings.Join(found, "; "))
	return cluster.WithHint(err, "leave the options out to use it as it is")
}

// errFailed: the owner tried to make the volume and could not.
var errFailed = fmt.Errorf("%w", cluster.ErrRefused)

const (
	// birthPause is the time between two looks at a volume that is being made: it takes no longer.
	birthPause = 15 * time.Millisecond
	// askNodes is how long the owner may take before it is asked what keeps it.
	askNodes = 500 * time.Millisecond
)

// awaitBirth waits until the owner has made a volume.
func (c *Host) awaitBirth(ctx context.Context, v wire.VolumeStatus) error {
	trouble := ""
	for asked := time.Now(); !v.Ownership.Created; {
		if time.Since(asked) > askNodes {
			var failed error
			if trouble, failed = c.trouble(ctx, v); failed != nil {
				return failed
			}
			asked = time.Now()
		}
		if sleep.For(ctx, birthPause) != nil {
			err := fmt.Errorf("%w: node %s has not made volume %s yet%s", cluster.ErrUnavailable, v.Names[v.Ownership.Owner], v.Volume.Name, trouble)
			return cluster.WithHint(err, "it is made when the node can; take it back with: docker volume rm "+v.Volume.Name)
		}
		now, err := c.Control.Volume(ctx, string(v.Volume.ID))
		switch {
		case errors.Is(err, cluster.ErrUnavailable) || ctx.Err() != nil:
		case err != nil:
			return err
		case now.Volume.Deleted:
			return fmt.Errorf("%w: volume %s was deleted meanwhile", cluster.ErrConflict, v.Volume.Name)
		default:
			v = now
		}
	}
	return nil
}

// trouble says what keeps the owner from making a volume, as the end of a sentence, or that it failed.
func (c *Host) trouble(ctx context.Context, v wire.VolumeStatus) (string, error) {
	nodes, err := c.Control.Nodes(ctx)
	if err != nil {
		return ": " + cluster.Message(err), nil
	}
	for _, n := range nodes {
		if n.Node.ID != v.Ownership.Owner {
			continue
		}
		for _, s := range n.State.Steps {
			if s.Kind == string(plan.CreateVolume) && s.Subject == string(v.Volume.ID) && s.Error != "" {
				return "", fmt.Errorf("%w by node %s: %s", errFailed, n.Node.Name, s.Error)
			}
		}
		switch {
		case !n.Live:
			return ", which is not heard of", nil
		case n.State.VolumesUnknown != "":
			return ", which cannot see its volumes: " + n.State.VolumesUnknown, nil
		}
	}
	return "", nil
}
