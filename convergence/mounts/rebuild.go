package mounts

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// young is how long Docker may take from a mount to the next one, or to a container that runs: above
// its own time-outs.
const young = 3 * time.Minute

// containerMount begins the ids of uses that are known by their container alone.
const containerMount = "container:"

// Nameless reports whether of any use it is not known whose it is.
func (r *Registry) Nameless() bool {
	for _, v := range r.all() {
		for _, use := range v.Uses {
			if use.Container == "" {
				return true
			}
		}
	}
	return false
}

// all returns the volumes as they are. Nobody changes the uses of one: a change makes others.
func (r *Registry) all() map[cluster.VolumeID]Volume {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.volumes)
}

// Rebuild brings the registry in line with the containers that there are: uses whose end nobody heard of
// end, unless somebody else still has the volume mounted, and containers that use a volume without
// a word in the registry get one. What changes while it looks is left for the next time.
//
// Ask returns the containers, nil if there is no telling. Find returns the volume that a container
// calls by a name or an id, if it is here.
func (r *Registry) Rebuild(ask func() []runtime.Container, find func(name string) (Source, bool), mounted func(path string) bool) error {
	before := r.all()
	containers := ask()
	if containers == nil {
		return nil
	}
	have := byVolume(containers, before, find)
	var errs []error
	for _, h := range have {
		if h.here {
			errs = append(errs, r.add(before, h))
		}
	}
	for id, v := range before {
		errs = append(errs, r.endOver(before, v, have[id], mounted))
	}
	return errors.Join(errs...)
}

// holders are the containers that have a volume.
type holders struct {
	volume Source
	// here: this node owns it.
	here bool
	// all of them, of which those that do not run may be about to.
	all, running []runtime.Container
}

// byVolume returns the holders of each volume that is here or in the registry. A container calls it by
// its name or its id; also while it can't be found here, its holders are.
func byVolume(containers []runtime.Container, volumes map[cluster.VolumeID]Volume, find func(string) (Source, bool)) map[cluster.VolumeID]holders {
	have := map[cluster.VolumeID]holders{}
	for _, c := range containers {
		for _, name := range c.Volumes {
			s, here := find(name)
			if !here {
				s = volumeOf(volumes, name)
			}
			h := have[s.ID]
			h.volume, h.here = s, here
			if !slices.ContainsFunc(h.all, func(other runtime.Container) bool { return other.ID == c.ID }) {
				h.all = append(h.all, c)
				if c.Running {
					h.running = append(h.running, c)
				}
			}
			have[s.ID] = h
		}
	}
	delete(have, "")
	return have
}

func volumeOf(volumes map[cluster.VolumeID]Volume, name string) Source {
	for id, v := range volumes {
		if string(id) == name || v.Source.Name == name {
			return v.Source
		}
	}
	return Source{}
}

// endOver ends the uses of a volume that are over. It looks whether the volume is mounted, which takes
// a while, only if any is.
func (r *Registry) endOver(before map[cluster.VolumeID]Volume, v Volume, h holders, mounted func(path string) bool) error {
	var errs []error
	free := len(h.running) > 0 // then who has it mounted is known
	for mount, use := range v.Uses {
		if !h.over(use, before) {
			continue
		}
		if free = free || !mounted(v.Source.Path); !free {
			break
		}
		errs = append(errs, r.endIf(v.Source.ID, mount, use, h))
	}
	return errors.Join(errs...)
}

// endIf ends a use that is still as it was, and over.
func (r *Registry) endIf(id cluster.VolumeID, mount string, was Use, h holders) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.volumes[id]
	if use, there := v.Uses[mount]; !there || use != was || r.starting > 0 || !h.over(use, r.volumes) {
		return nil
	}
	return r.end(v, mount)
}

// over reports whether no container accounts for a use. Docker does not say which mount is whose, so
// as long as one that runs is not named by another use, all may be its. One that does not run may be
// starting, unless it is gone altogether.
func (h holders) over(use Use, volumes map[cluster.VolumeID]Volume) bool {
	named := use.Container != ""
	switch {
	case named && slices.ContainsFunc(h.running, func(c runtime.Container) bool { return c.Name == use.Container }):
		return false
	case !named && len(h.running) > 0:
		return false
	case len(h.all) == 0: // it would be listed: an engine makes a container before it mounts for it
		return true
	default:
		return time.Since(newest(volumes, use)) >= young
	}
}

// newest returns when a use began last, of any volume, that may be of the same container: that may
// wait for another volume for as long as it had the first one.
func newest(volumes map[cluster.VolumeID]Volume, use Use) time.Time {
	since := use.Since
	for _, v := range volumes {
		for _, other := range v.Uses {
			same := other.Container == use.Container || other.Container == "" || use.Container == ""
			if same && other.Since.After(since) {
				since = other.Since
			}
		}
	}
	return since
}

// add names the uses of a volume that have no name, and makes those that are missing, if it has the
// uses that it had before. A container whose use has its name may have another one, since an engine
// that crashed mounts anew: one that can't be of a container that starts.
func (r *Registry) add(before map[cluster.VolumeID]Volume, h holders) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := h.volume
	if !maps.Equal(before[s.ID].Uses, r.volumes[s.ID].Uses) {
		return nil
	}
	var errs []error
	for _, c := range h.running {
		nameless, found := "", false
		for mount, use := range r.volumes[s.ID].Uses {
			if use.Container == "" {
				nameless = mount
			}
			found = found || use.Container == c.Name
		}
		use := r.volumes[s.ID].Uses[nameless]
		switch {
		case nameless != "" && (!found || len(h.all) == 1 || time.Since(use.Since) >= young):
			use.Container = c.Name
			errs = append(errs, r.set(s, nameless, use))
		case !found:
			errs = append(errs, r.set(s, containerMount+c.ID, Use{Container: c.Name}))
		}
	}
	return errors.Join(errs...)
}
