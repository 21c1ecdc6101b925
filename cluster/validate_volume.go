package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Validate returns what is wrong with a volume in itself, by its fields. It does not ask whether a
// backend knows its options.
func (v Volume) Validate() Problems {
	var p Problems
	if v.Name != "" && !ValidName(v.Name) {
		p.add("name", "%s is not a valid name: %s", Shown(v.Name), plainName.want)
	}
	if v.MaximumSize < 0 {
		p.add("maximum_size", "%d: must be greater than zero", v.MaximumSize)
	}
	for i, wish := range v.Snapshots {
		if !ValidSnapshotName(wish.Name) {
			p.add(fmt.Sprintf("snapshots[%d]", i), "%s is not a valid name", Shown(string(wish.Name)))
		}
	}
	if w := v.Rollback; w != nil && !ValidSnapshotName(w.Snapshot) {
		p.add("rollback.snapshot", "%s is not a valid name", Shown(string(w.Snapshot)))
	}
	if o := v.Origin; o != nil {
		p = append(p, o.validate()...)
	}
	validateLabels("metadata", v.Metadata, &p)
	if v.Profile != "" && !slices.Contains(Profiles, v.Profile) {
		p.add("profile", "%s: the profiles are: %s", Shown(v.Profile), strings.Join(Profiles, ", "))
	}
	for option, value := range sortedPairs(v.Options) {
		if !optionName.fits(option) {
			p.add("options."+Printable(option), "%s", optionName.want)
		} else if !plainText.fits(value) || strings.ContainsFunc(value, unprintable) {
			p.add("options."+option, "%s: %s", Shown(value), plainText.want)
		}
	}
	return p
}

func (o Origin) validate() Problems {
	var p Problems
	if o.Volume != "" && !IsUUID(string(o.Volume)) {
		p.add("origin.volume", "%s is not the id of a volume", Shown(string(o.Volume)))
	}
	if o.Snapshot != "" && !ValidSnapshotName(o.Snapshot) {
		p.add("origin.snapshot", "%s is not a valid name", Shown(string(o.Snapshot)))
	}
	if !plainText.fits(o.Adopt) || strings.ContainsFunc(o.Adopt, unprintable) {
		p.add("origin.adopt", "%s: %s", Shown(o.Adopt), plainText.want)
	}
	return p
}

// Strange returns the options of the volume that would mean nothing to the backend of a node.
func (v Volume) Strange(n Node) Problems {
	var p Problems
	for _, option := range slices.Sorted(maps.Keys(v.Options)) {
		if backend, _, _ := strings.Cut(option, "."); backend != n.Backend {
			p.add("options."+option, "it is for the backend %s, and node %s has %s", backend, n.Name, n.Backend)
		}
	}
	return p
}
