package ssh

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// handlers answer the SFTP requests of one session.
type handlers struct {
	ctx     context.Context // ends with the client
	taking  context.Context // goes on until what has come is taken
	server  *Server
	conn    ssh.Conn
	from    cluster.NodeID // empty for a user
	guest   *guest
	streams sync.WaitGroup
}

func (h *handlers) parse(r *sftp.Request) (file, error) {
	return parsePath(r.Filepath, h.server.names().resolve)
}

// Fileread serves copy.json, the streams of snapshots, and what has arrived.
func (h *handlers) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	f, err := h.parse(r)
	if err != nil {
		return nil, err
	}
	closed, err := h.guest.open()
	if err != nil {
		return nil, status(err)
	}
	file, err := h.read(f)
	if err != nil {
		closed()
		return nil, err
	}
	return &readHandle{file, closed}, nil
}

func (h *handlers) read(f file) (io.ReaderAt, error) {
	switch {
	case f.part == partCopy:
		h.server.arrivals.settle(h.ctx, volumeKey(f.volume), h.from, h.conn)
		held, err := h.find(f.volume)
		if err != nil {
			return nil, err
		}
		b, err := encodeCopy(held)
		return bytes.NewReader(b), status(err)
	case f.part == partArrived:
		return h.arrived(f.volume)
	case f.part == partSnapshots && f.delta.To != "":
		if h.from != "" {
			return nil, status(errNode)
		}
		if err := h.readable(f.delta); err != nil {
			return nil, err
		}
		f.delta.Reading = true
		return h.outgoing(func(ctx context.Context, w io.Writer) error { return h.server.Backend.Send(ctx, f.delta, w) }), nil
	default:
		return nil, sftp.ErrSSHFxPermissionDenied
	}
}

// readable reports why a snapshot cannot be read here, if so.
func (h *handlers) readable(d volume.Delta) error {
	held, err := h.find(d.Volume)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(held.Snapshots, func(s cluster.Snapshot) bool { return s.Name == d.To })
	switch {
	case i < 0:
		return sftp.ErrSSHFxNoSuchFile
	case h.hasContent(held, held.Snapshots[i]):
		return nil
	}
	return status(fmt.Errorf("%w: snapshot %s has been written over; one that is made to be kept can be read", cluster.ErrRefused, d.To))
}

// hasContent reports whether a snapshot has content of its own. Making a stream of one that has not
// would change what it means, in the middle of a move maybe.
func (h *handlers) hasContent(held volume.Copy, s cluster.Snapshot) bool {
	return h.server.Backend.Properties().Instant || s.Kept || s.GUID == held.Head
}

// find returns the copy of a volume on this node, or an error for the client.
func (h *handlers) find(id cluster.VolumeID) (volume.Copy, error) {
	held, err := volume.Find(h.ctx, h.server.Backend, id)
	if errors.Is(err, cluster.ErrNotFound) {
		return held, sftp.ErrSSHFxNoSuchFile
	}
	return held, status(err)
}

// Filewrite receives a stream.
func (h *handlers) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	f, err := h.parse(r)
	if err != nil {
		return nil, err
	}
	if f.image == "" && (f.part != partIncoming || f.delta.To == "") {
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	if h.from == "" {
		return nil, errUser
	}
	closed, err := h.guest.open()
	if err != nil {
		return nil, status(err)
	}
	file, err := h.write(f)
	if err != nil {
		closed()
		return nil, err
	}
	return &writeHandle{file, closed}, nil
}

func (h *handlers) write(f file) (_ *incoming, err error) {
	if f.image != "" {
		return h.incomingImage(f.image)
	}
	if f.delta, err = h.server.Permit(h.from, f.delta); err != nil {
		return nil, status(err)
	}
	if f.resume {
		if f.delta.Resume, err = h.token(f.delta); err != nil {
			return nil, status(err)
		}
	}
	file, err := h.incoming(volumeKey(f.volume), func(r io.Reader) error { return h.server.Backend.Receive(h.taking, f.delta, r) })
	if err != nil {
		return nil, status(err)
	}
	return file, nil
}

// token returns the token of the transfer that d goes on with.
func (h *handlers) token(d volume.Delta) ([]byte, error) {
	held, err := volume.Find(h.ctx, h.server.Backend, d.Volume)
	if err != nil {
		return nil, err
	}
	if held.Partial == nil || held.Partial.From != d.From || held.Partial.To != d.To {
		return nil, fmt.Errorf("%w: there is no part of %s to go on with", cluster.ErrStale, d)
	}
	if len(held.Partial.Token) > volume.MaxToken {
		return nil, fmt.Errorf("%w: what there is of %s has a token that is too long", cluster.ErrStale, d)
	}
	return held.Partial.Token, nil
}

// Filecmd refuses: nothing can be renamed, removed or made but by streams. Setting the times and
// the mode of a file that was just written, as clients do, is accepted and means nothing.
func (h *handlers) Filecmd(r *sftp.Request) error {
	if r.Method == "Setstat" {
		return nil
	}
	return sftp.ErrSSHFxPermissionDenied
}

// Filelist lists directories and describes files. What is incoming is between nodes.
func (h *handlers) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	f, err := h.parse(r)
	if err != nil {
		return nil, err
	}
	if (f.part == partIncoming || f.part == partArrived) && h.from == "" {
		return nil, sftp.ErrSSHFxNoSuchFile
	}
	if r.Method != "List" {
		return h.describe(f)
	}
	closed, err := h.guest.open()
	if err != nil {
		return nil, status(err)
	}
	all, err := h.list(r, f)
	if err != nil {
		closed()
		return nil, err
	}
	return &listHandle{all, closed}, nil
}

// list lists a directory.
func (h *handlers) list(r *sftp.Request, f file) (listing, error) {
	switch {
	case f.delta.To != "" || f.part == partCopy || f.part == partArrived || f.image != "":
		return nil, sftp.ErrSSHFxNoSuchFile // as a directory
	case f.part == partSnapshots:
		return h.snapshots(f.volume)
	case f.part == partIncoming:
		return listing{}, nil
	case f.volume != "":
		_, err := h.find(f.volume)
		parts := listing{directory(partSnapshots), regular(partCopy, 0, time.Time{})}
		if h.from != "" {
			parts = append(parts, directory(partIncoming))
		}
		return parts, err
	case strings.Trim(r.Filepath, "/") == "":
		return listing{directory("volumes")}, nil
	}
	copies, err := h.server.Backend.Copies(h.ctx)
	if err != nil {
		return nil, status(err)
	}
	var all listing
	names := h.server.names()
	for _, c := range copies {
		all = append(all, directory(names.shown(c.Volume)))
	}
	return all, nil
}

// describe describes one name. What is incoming need not exist before it comes.
func (h *handlers) describe(f file) (sftp.ListerAt, error) {
	switch {
	case f.image != "":
		return h.describeImage(f.image)
	case f.volume == "":
		return listing{directory("/")}, nil
	case f.part == partIncoming && f.delta.To != "":
		return listing{regular(string(f.delta.To), 0, time.Time{})}, nil
	case f.part == partIncoming:
		return listing{directory(partIncoming)}, nil
	case f.part == partArrived:
		// How long it is nobody knows before it is made. It is worth asking for much of it at once.
		return listing{regular(partArrived, inFlight*maxPacket, time.Time{})}, nil
	}
	all, err := h.snapshots(f.volume)
	switch {
	case err != nil:
		return nil, err
	case f.part == partCopy:
		return listing{regular(partCopy, 0, time.Time{})}, nil
	case f.delta.To == "":
		return listing{directory(cmp.Or(f.part, string(f.volume)))}, nil
	}
	for _, s := range all {
		if s.Name() == string(f.delta.To) {
			return listing{s}, nil
		}
	}
	return nil, sftp.ErrSSHFxNoSuchFile
}

// snapshots lists those that can be read.
func (h *handlers) snapshots(id cluster.VolumeID) (listing, error) {
	held, err := h.find(id)
	if err != nil {
		return nil, err
	}
	var all listing
	for _, s := range held.Snapshots {
		if h.hasContent(held, s) {
			all = append(all, regular(string(s.Name), s.Bytes, s.Created))
		}
	}
	return all, nil
}
