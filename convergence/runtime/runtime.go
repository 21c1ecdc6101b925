// Package runtime is the contract between Drover and the ways to run applications.
//
//	r.Create(ctx, spec)   // ready to start, costs nothing in a pause
//	r.Start(ctx, name)
//	r.Stop(ctx, name)     // asks, waits, never kills
//	r.Remove(ctx, name)
//
// The package does not know where applications should run or what a volume is: it is given
// paths and addresses.
package runtime

import (
	"context"
	"errors"
	"io"

	"github.com/drover/drover/cluster"
)

// A Runtime runs applications on one node. Instances outlive the process that started them: a
// new Runtime over the same place finds them again, running or not.
//
// Every method is idempotent, and may be called concurrently with those of other instances.
type Runtime interface {
	// Name is "docker", "process" or "mem".
	Name() string

	// Instances returns every instance that Drover made on this node, sorted by name.
	Instances(ctx context.Context) ([]Instance, error)

	// Check says why the spec could not run here, as cluster.ErrRefused or ErrUnsupported, or
	// nil. It changes nothing.
	Check(ctx context.Context, spec Spec) error

	// Create makes the instance ready to start. An instance of that name with another
	// fingerprint is replaced if it is not running, else the result is cluster.ErrConflict.
	Create(ctx context.Context, spec Spec) error

	// Start runs the instance. One that runs already is left alone.
	Start(ctx context.Context, name cluster.AppName) error

	// Stop sends the stop signal and waits until every process of the instance is gone. After
	// the spec's patience it returns ErrStillRunning: it never kills.
	Stop(ctx context.Context, name cluster.AppName) error

	// Kill ends the instance at once. Whoever calls it says so in an event.
	Kill(ctx context.Context, name cluster.AppName) error

	// Remove forgets the instance and its output. A running one is cluster.ErrConflict; one
	// that does not exist is no error.
	Remove(ctx context.Context, name cluster.AppName) error

	// Exec runs a command in the surroundings of a running instance and waits for its end. Its
	// error has what the command wrote.
	Exec(ctx context.Context, name cluster.AppName, command []string) error

	// Owner returns the ids of the user and the group that the root of an empty volume is made
	// for, or cluster.ErrRefused for a user that there is not.
	Owner(app cluster.Application) (uid, gid int, err error)

	// Logs returns the output of the instance; with follow it goes on until ctx ends.
	Logs(ctx context.Context, name cluster.AppName, follow bool) (io.ReadCloser, error)

	// Changed receives a value soon after any instance started or ended by itself. It may merge
	// several changes into one.
	Changed() <-chan struct{}
}

// Images is a runtime that runs images, and must have one before it can create an instance.
type Images interface {
	// HasImage reports whether the image is on this node.
	HasImage(ctx context.Context, name string) (bool, error)

	// EnsureImage gets the image from its registry if it is not here. No answer from there is
	// cluster.ErrUnavailable.
	EnsureImage(ctx context.Context, name string) error

	// SaveImage writes the image as a stream that LoadImage of another node takes.
	SaveImage(ctx context.Context, name string, w io.Writer) error
	LoadImage(ctx context.Context, name string, stream io.Reader) error
}

// Keeper is a runtime whose instances may keep data of their own, apart from their volumes, as what
// an image declares as VOLUME is. Such data outlives instances, but does not leave the node.
type Keeper interface {
	// Keeps returns the paths at which the application has such data on this node.
	Keeps(ctx context.Context, app cluster.Application) ([]string, error)

	// Aside returns such data that no instance uses, of whichever application, in a fixed order.
	Aside(ctx context.Context) ([]cluster.Kept, error)
}

// A Container is one that a container engine has, of whomever.
type Container struct {
	ID, Name string
	// Volumes are the names of those that a volume plugin mounts for it.
	Volumes []string
	// Running: its processes may use them.
	Running bool
}

// ErrStillRunning: an application did not stop within its patience. It was not killed.
var ErrStillRunning = errors.New("still running")

// What is said of instances is part of the vocabulary: a plan needs it, and no runtime.
type (
	// A Spec is all that an instance is made from.
	Spec = cluster.Spec
	// An Instance is an application as the runtime sees it.
	Instance = cluster.Instance
)
