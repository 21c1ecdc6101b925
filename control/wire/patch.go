package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/drover/drover/cluster"
)

// PatchDocument is a change of a ConfigurationDocument as a JSON merge patch (RFC 7396): it says what it changes, and
// weighs no more.
type PatchDocument struct {
	Configuration ConfigurationPatch `json:"configuration"`
}

// ConfigurationPatch has a merge patch for each object of a configuration that changes, and null for each that goes
// away. A volume does not go away: it is marked as deleted.
type ConfigurationPatch struct {
	Applications map[cluster.AppName]json.RawMessage  `json:"applications,omitempty"`
	Volumes      map[cluster.VolumeID]json.RawMessage `json:"volumes,omitempty"`
	Leases       map[cluster.VolumeID]json.RawMessage `json:"leases,omitempty"`
}

// PatchBetween returns the patch that makes next of current. Volumes that next does not list are kept.
func PatchBetween(current, next cluster.Configuration) (p ConfigurationPatch, err error) {
	if p.Applications, err = patches(current.Applications, next.Applications, true); err != nil {
		return p, err
	}
	if p.Volumes, err = patches(current.Volumes, next.Volumes, false); err != nil {
		return p, err
	}
	p.Leases, err = patches(current.Leases, next.Leases, true)
	return p, err
}

// Apply changes a configuration.
func (p ConfigurationPatch) Apply(c *cluster.Configuration) error {
	for id, patch := range p.Volumes {
		if isNull(patch) {
			return fmt.Errorf("%w: volumes.%s: a volume is not taken out: mark it as deleted", cluster.ErrInvalid, id)
		}
	}
	if err := mergeAll("applications", c.Applications, p.Applications); err != nil {
		return err
	}
	if err := mergeAll("volumes", c.Volumes, p.Volumes); err != nil {
		return err
	}
	return mergeAll("leases", c.Leases, p.Leases)
}

func isNull(text json.RawMessage) bool { return string(bytes.TrimSpace(text)) == "null" }

// mergeAll changes objects by their patches.
func mergeAll[K ~string, V any](kind string, objects map[K]V, patches map[K]json.RawMessage) error {
	for _, id := range slices.Sorted(maps.Keys(patches)) {
		patch := patches[id]
		if isNull(patch) {
			delete(objects, id)
			continue
		}
		is, err := mergeOne(objects[id], patch)
		if err != nil {
			return fmt.Errorf("%w: %s.%s: %w", cluster.ErrInvalid, kind, id, err)
		}
		objects[id] = is
	}
	return nil
}

func mergeOne[V any](was V, patch json.RawMessage) (is V, err error) {
	change, err := decodeAny(patch)
	if err != nil {
		return is, err
	}
	if _, object := change.(map[string]any); !object {
		return is, fmt.Errorf("%s is no object", patch)
	}
	old, err := asAny(was)
	if err != nil {
		return is, err
	}
	text, err := json.Marshal(mergeAny(old, change))
	if err != nil {
		return is, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(&is)
	return is, err
}

// mergeAny is MergePatch of RFC 7396.
func mergeAny(was, patch any) any {
	changes, object := patch.(map[string]any)
	if !object {
		return patch
	}
	is := map[string]any{}
	if members, ok := was.(map[string]any); ok {
		is = maps.Clone(members)
	}
	for key, change := range changes {
		if change == nil {
			delete(is, key)
		} else {
			is[key] = mergeAny(is[key], change)
		}
	}
	return is
}

// patches returns a patch for each object that differs, and null for those that are gone, if those are to go.
func patches[K ~string, V any](current, next map[K]V, gone bool) (map[K]json.RawMessage, error) {
	out := map[K]json.RawMessage{}
	for id := range current {
		if _, kept := next[id]; !kept && gone {
			out[id] = json.RawMessage("null")
		}
	}
	for id, is := range next {
		was, exists := current[id]
		if exists && reflect.DeepEqual(was, is) {
			continue
		}
		old, err := asAny(was)
		if err != nil {
			return nil, err
		}
		if !exists {
			old = nil
		}
		wanted, err := asAny(is)
		if err != nil {
			return nil, err
		}
		if out[id], err = json.Marshal(between(old, wanted)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// between returns the merge patch that makes is of was.
func between(was, is any) any {
	wanted, object := is.(map[string]any)
	old, both := was.(map[string]any)
	if !object || !both {
		return is
	}
	patch := map[string]any{}
	for key := range old {
		if _, kept := wanted[key]; !kept {
			patch[key] = nil
		}
	}
	for key, value := range wanted {
		if before, had := old[key]; !had || !reflect.DeepEqual(before, value) {
			patch[key] = between(before, value)
		}
	}
	return patch
}

// asAny returns a value as its JSON has it.
func asAny(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return decodeAny(text)
}

// decodeAny reads one JSON document; numbers stay as they are written.
func decodeAny(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil && err != io.EOF {
		return nil, err
	}
	return v, nil
}
