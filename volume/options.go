package volume

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/drover/drover/cluster"
)

// Options are what a volume is made with.
type Options struct {
	// MaximumSize is its size limit; zero means none.
	MaximumSize int64
	// Owner and Group own the root directory of the volume. Zero is root, or the agent's own.
	Owner, Group int
	Labels       Labels
	// Profile is one of cluster.Profiles, or empty.
	Profile string
	// Settings are those of the user for this kind of backend, without its name.
	Settings map[string]string
}

// Settings returns the options of a volume that are for a kind of backend, without its name.
func Settings(backend string, options map[string]string) map[string]string {
	mine := map[string]string{}
	for key, value := range options {
		if name, ok := strings.CutPrefix(key, backend+"."); ok {
			mine[name] = value
		}
	}
	return mine
}

// NoSettings returns cluster.ErrInvalid if there are settings, for a backend that knows none.
func (o Options) NoSettings(backend string) error {
	if len(o.Settings) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(o.Settings))
	return fmt.Errorf("%w: %s: the %s backend has no settings; leave them out", cluster.ErrInvalid, strings.Join(names, ", "), backend)
}

// Own gives the root directory of a new volume to its owner. An agent that is not root leaves it
// as its own.
func (o Options) Own(root string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Lchown(root, o.Owner, o.Group)
}
