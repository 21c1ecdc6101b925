package cluster

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// optionPattern is a kind of backend and the name of a setting that it knows.
var optionPattern = regexp.MustCompile(`^[a-z]+\.[a-zA-Z0-9:._-]+$`)

// Validate returns what is wrong with a volume in itself, by its fields. It does not ask whether a
// backend knows its options.
func (v Volume) Validate() Problems {
	var p Problems
	if v.MaximumSize < 0 {
		p.add("maximum_size", "%d: must be greater than zero", v.MaximumSize)
	}
	for i, wish := range v.Snapshots {
		if !ValidName(string(wish.Name)) {
			p.add(fmt.Sprintf("snapshots[%d]", i), "%q is not a valid name", wish.Name)
		}
	}
	if v.Profile != "" && !slices.Contains(Profiles, v.Profile) {
		p.add("profile", "%q: the profiles are: %s", v.Profile, strings.Join(Profiles, ", "))
	}
	for _, option := range slices.Sorted(maps.Keys(v.Options)) {
		if !optionPattern.MatchString(option) {
			p.add("options."+option, "want the backend that it is for before its name, such as zfs.recordsize")
		}
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
