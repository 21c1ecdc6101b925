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
	"cmp"
	"context"
	"errors"
	"io"
	"time"

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

// A Spec is all that an instance is made from.
type Spec struct {
	Application cluster.Application
	// Epoch is the ownership epoch of the application's volume, zero without one.
	Epoch cluster.Epoch
	// VolumePath is where the volume is on this node, empty without one.
	VolumePath string
	// Address is this node's: its proxy listens on it, links lead to it.
	Address string
	// Private is the address at which the application's own ports are, for proxies alone; empty
	// is Address.
	Private string
}

// PublishAddress is where the application's own ports are.
func (s Spec) PublishAddress() string { return cmp.Or(s.Private, s.Address) }

// An Instance is an application as the runtime sees it.
type Instance struct {
	Name cluster.AppName
	// Volume is the volume of the application and Epoch its ownership epoch, both as in the spec
	// that the instance was made from.
	Volume cluster.VolumeID
	Epoch  cluster.Epoch
	// Fingerprint is Spec.Fingerprint of the spec that it was made from.
	Fingerprint string
	Running     bool
	// Healthy: the health check passes; without one, every port accepts connections.
	Healthy bool
	Started time.Time
	// Ended, ExitStatus and Reason are of the last end, if it is not running. Reason is a
	// sentence such as "exited with status 1" or "killed by SIGKILL".
	Ended      time.Time
	ExitStatus int
	Reason     string
	// Asked: it ended because of Stop or Kill, or because its host went down; its restart policy
	// has no say in whether it is started again.
	Asked bool
	// Endpoints maps internal ports to the host:port that serves them.
	Endpoints map[int]string
}
