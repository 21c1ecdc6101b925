package cluster

import (
	"iter"
	"maps"
	"slices"
	"strconv"
)

// A Configuration is what the user wants of the whole cluster.
type Configuration struct {
	Applications map[AppName]Application `json:"applications"`
	Volumes      map[VolumeID]Volume     `json:"volumes"`
	Leases       map[VolumeID]Lease      `json:"leases,omitempty"`
}

// Clone returns a copy that shares nothing with c. The maps of the copy are never nil.
func (c Configuration) Clone() Configuration {
	out := Configuration{
		Applications: make(map[AppName]Application, len(c.Applications)),
		Volumes:      make(map[VolumeID]Volume, len(c.Volumes)),
		Leases:       make(map[VolumeID]Lease, len(c.Leases)),
	}
	for name, app := range c.Applications {
		out.Applications[name] = app.Clone()
	}
	for id, v := range c.Volumes {
		v.Metadata = cloneMap(v.Metadata)
		v.Snapshots = slices.Clone(v.Snapshots)
		v.Options = cloneMap(v.Options)
		v.Origin, v.Rollback = clonePointer(v.Origin), clonePointer(v.Rollback)
		out.Volumes[id] = v
	}
	maps.Copy(out.Leases, c.Leases)
	return out
}

// User returns the application that uses a volume.
func (c Configuration) User(id VolumeID) (Application, bool) {
	for _, app := range c.Applications {
		if app.Volume != nil && app.Volume.Volume == id {
			return app, true
		}
	}
	return Application{}, false
}

// VolumeNamed returns the volume of that name or id that is not deleted.
func (c Configuration) VolumeNamed(name string) (Volume, bool) {
	for _, v := range c.Volumes {
		if !v.Deleted && (v.Name == name || string(v.ID) == name) {
			return v, true
		}
	}
	return Volume{}, false
}

// sortedPairs goes through a map by its keys, in their order.
func sortedPairs(m map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

func cloneMap(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	return maps.Clone(m)
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func itoa(n int) string { return strconv.Itoa(n) }
