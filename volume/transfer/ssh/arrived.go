package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/cespare/xxhash/v2"
	"github.com/pkg/sftp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// arrived serves the listing of what has arrived of a transfer that was cut, to a node that may ship
// that volume to this one: to it nothing in there is new.
func (h *handlers) arrived(id cluster.VolumeID) (*outgoing, error) {
	if h.from == "" {
		return nil, sftp.ErrSSHFxNoSuchFile // it is between nodes, as what is incoming
	}
	if _, err := h.server.Permit(h.from, volume.Delta{Volume: id}); err != nil {
		return nil, status(err)
	}
	lister, ok := volume.As[volume.Lister](h.server.Backend)
	if !ok {
		return nil, sftp.ErrSSHFxNoSuchFile
	}
	h.server.arrivals.settle(h.ctx, volumeKey(id), h.from, h.conn)
	return h.outgoing(func(ctx context.Context, w io.Writer) error {
		r, err := lister.Listing(ctx, id)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, r)
		return errors.Join(err, r.Close())
	}), nil
}

// maxListing is how long a listing may be: that of a full tree of 64 TiB takes half as much.
const maxListing = 64 << 30

// A spooled is the listing of what has arrived on the other side, in a file without a name: nothing of
// it is left behind, whatever happens.
type spooled struct {
	*os.File
	// hash tells one listing from another.
	hash uint64
}

// path is for volume.Delta.Arrived, in this process, until the file is closed.
func (s *spooled) path() string { return fmt.Sprintf("/proc/self/fd/%d", s.Fd()) }

// fetchArrived copies the listing of what has arrived on the other side. An *ownError is about where to
// put it.
func (t *Transport) fetchArrived(c *connection, id cluster.VolumeID) (*spooled, error) {
	remote, err := c.sftp.Open(path.Join("/volumes", string(id), partArrived))
	if err != nil {
		return nil, err
	}
	defer remote.Close() // nobody needs the answer
	f, err := os.CreateTemp(t.Spool, "drover-arrived-")
	if err != nil {
		return nil, &ownError{err}
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, &ownError{err}
	}
	hash := xxhash.New()
	if _, err := remote.WriteTo(io.MultiWriter(&spool{f, maxListing}, hash)); err != nil {
		f.Close()
		return nil, err
	}
	return &spooled{f, hash.Sum64()}, nil
}

// A spool writes as much as there is room for.
type spool struct {
	w    io.Writer
	room int64
}

func (s *spool) Write(p []byte) (int, error) {
	if s.room -= int64(len(p)); s.room < 0 {
		return 0, &ownError{fmt.Errorf("%w: the listing of what has arrived has no end", cluster.ErrInvalid)}
	}
	n, err := s.w.Write(p)
	if err != nil {
		return n, &ownError{err}
	}
	return n, nil
}
