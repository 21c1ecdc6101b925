package zfs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/drover/drover/cluster"
)

// The kinds of failure of ZFS's programs that something is done about. Each is also one of the
// cluster's kinds.
var (
	errNoSpace  = fmt.Errorf("%w: out of space", cluster.ErrRefused)
	errBusy     = fmt.Errorf("%w: busy", cluster.ErrConflict)
	errModified = fmt.Errorf("%w: the copy was written after its last snapshot", cluster.ErrConflict)
	// errOtherBase: what has the name of the base is another snapshot to ZFS.
	errOtherBase = fmt.Errorf("%w: its base is another one", cluster.ErrStale)
	errCut       = errors.New("the stream was cut")
)

// kinds tells the kind of a failure by what the programs say. They have no codes; the texts are
// those of libzfs since 0.8. The first that fits counts.
var kinds = []struct {
	text string
	kind error
}{
	{"modules cannot be auto-loaded", cluster.ErrUnavailable},
	{"modules are not loaded", cluster.ErrUnavailable},
	{"pool I/O is currently suspended", cluster.ErrUnavailable},
	{"no such pool", cluster.ErrUnavailable},
	{"out of space", errNoSpace},
	{"No space left on device", errNoSpace},
	{"quota exceeded", errNoSpace},
	{"size is less than current used", cluster.ErrRefused},
	{"incomplete stream", errCut},
	{"failed to read from stream", errCut},
	{"resume token is corrupt", cluster.ErrStale},
	{"cannot resume send", cluster.ErrStale},
	{"no longer exists", cluster.ErrStale},
	{"not an earlier snapshot", cluster.ErrStale},
	{"not match incremental source", errOtherBase},
	{"has been modified", errModified},
	{"dataset is busy", errBusy},
	{"target is busy", errBusy},
	{"has dependent clones", errBusy},
	{"already exists", cluster.ErrExists},
	{"dataset does not exist", cluster.ErrNotFound},
	{"could not find any snapshots", cluster.ErrNotFound},
	{"no such tag", cluster.ErrNotFound},
	{"key not loaded", cluster.ErrConflict},
	{"encryption key", cluster.ErrConflict},
	{"encryption root", cluster.ErrRefused},
	{"permission denied", cluster.ErrForbidden},
	{"name is too long", cluster.ErrInvalid},
	{"invalid character", cluster.ErrInvalid},
	{"empty component", cluster.ErrInvalid},
	{"invalid property", cluster.ErrInvalid},
	{"bad property list", cluster.ErrInvalid},
	{"cannot set property", cluster.ErrInvalid},
	{"must be", cluster.ErrInvalid},
	{"unsupported version or feature", cluster.ErrUnsupported},
	{"stream has unsupported feature", cluster.ErrUnsupported},
}

// explain makes an error of what a program said, with its kind.
func explain(command, said string, err error) error {
	message := strings.Join(strings.FieldsFunc(said, func(r rune) bool { return r == '\n' }), "; ")
	if before, _, resumable := strings.Cut(message, "; Partially received snapshot is saved"); resumable {
		message = before // what follows is a token and how to use it by hand
	}
	flat := strings.ReplaceAll(message, "; ", " ")
	for _, k := range kinds {
		if strings.Contains(flat, k.text) {
			return fmt.Errorf("%s: %s: %w", command, message, k.kind)
		}
	}
	if message == "" {
		return fmt.Errorf("%s: %w", command, err)
	}
	return fmt.Errorf("%s: %s: %w", command, message, err)
}
