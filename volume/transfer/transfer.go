// Package transfer is the contract for carrying volumes between nodes.
//
//	session, err := transport.Dial(ctx, peer)
//	theirs, err := session.Copy(ctx, id)              // what the peer holds
//	n, err := session.Send(ctx, delta, backend, opts) // ships, verifies, resumes
//
// Package ssh is the real one, package mem joins two backends in one process for tests. The
// package does not choose what to ship: the handoff does.
package transfer

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A Transport opens sessions to other nodes.
type Transport interface {
	// Dial connects to the node and checks that it is that node, by the key of its record.
	Dial(ctx context.Context, to cluster.Node) (Session, error)
}

// A Session is a connection to one other node. It is kept open between the rounds of a move.
// The methods may be called concurrently.
type Session interface {
	// Copy returns what the node holds of the volume, or cluster.ErrNotFound.
	Copy(ctx context.Context, id cluster.VolumeID) (volume.Copy, error)

	// Send ships d from the source and returns the number of bytes that went over the wire. When
	// it returns nil, the node has the whole on stable storage and the hash of what it received
	// equals the hash of what was sent. A connection that breaks under way is made again and
	// the transfer goes on, within the limits of o, where the backend is Resumable.
	Send(ctx context.Context, d volume.Delta, source Source, o Options) (int64, error)

	// HasImage reports whether the node has that image of an application.
	HasImage(ctx context.Context, name string) (bool, error)

	// SendImage ships an image, as save writes it, and returns the number of bytes that went over
	// the wire. When it returns nil, the node has the image. A connection that breaks under way
	// is made again, and the transfer begins anew.
	SendImage(ctx context.Context, name string, save func(context.Context, io.Writer) error, o Options) (int64, error)

	// Close ends the connection.
	Close() error
}

// A Source writes the stream of a delta. Every volume.Backend is one.
type Source interface {
	Send(ctx context.Context, d volume.Delta, w io.Writer) error
}

// Options are how to ship.
type Options struct {
	// BytesPerSecond limits the rate; zero means no limit.
	BytesPerSecond int64
	// Progress, if set, is called with the number of bytes shipped so far, at most a few times
	// a second, and once at the end.
	Progress func(bytes int64)
}

// Spool copies what a receiver tells of a transfer that was cut into a file in dir (empty: that for
// temporary files), for Delta.Arrived. The caller removes the file. R is closed.
func Spool(dir string, r io.ReadCloser) (path string, err error) {
	defer func() { err = errors.Join(err, r.Close()) }()
	f, err := os.CreateTemp(dir, "drover-arrived-")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
