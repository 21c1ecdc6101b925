package ssh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// handlers answer the SFTP requests of one session.
type handlers struct {
	ctx     context.Context // ends with the session
	server  *Server
	from    cluster.NodeID
	streams sync.WaitGroup
}

// Fileread serves copy.json and the streams of snapshots.
func (h *handlers) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	f, err := parsePath(r.Filepath)
	if err != nil {
		return nil, err
	}
	switch {
	case f.part == partCopy:
		held, err := volume.Find(h.ctx, h.server.Backend, f.volume)
		if err != nil {
			return nil, status(err)
		}
		b, err := json.Marshal(held)
		return bytes.NewReader(b), err
	case f.part == partSnapshots && f.delta.To != "":
		return h.outgoing(f.delta), nil
	default:
		return nil, sftp.ErrSSHFxPermissionDenied
	}
}

// Filewrite receives a stream.
func (h *handlers) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	f, err := parsePath(r.Filepath)
	if err != nil {
		return nil, err
	}
	if f.part != partIncoming || f.delta.To == "" {
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	if h.from == "" {
		return nil, status(errUser)
	}
	if err := h.server.Permit(h.from, f.delta); err != nil {
		return nil, status(err)
	}
	if f.resume {
		held, err := volume.Find(h.ctx, h.server.Backend, f.volume)
		if err != nil {
			return nil, status(err)
		}
		if held.Partial == nil {
			return nil, status(fmt.Errorf("%w: there is no transfer to go on with", cluster.ErrStale))
		}
		f.delta.Resume = held.Partial.Token
	}
	return h.incoming(f.delta), nil
}

// Filecmd refuses: nothing can be renamed, removed or made but by streams. Setting the times and
// the mode of a file that was just written, as clients do, is accepted and means nothing.
func (h *handlers) Filecmd(r *sftp.Request) error {
	if r.Method == "Setstat" {
		return nil
	}
	return sftp.ErrSSHFxPermissionDenied
}

// Filelist lists directories and describes files.
func (h *handlers) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	f, err := parsePath(r.Filepath)
	if err != nil {
		return nil, err
	}
	if r.Method != "List" {
		return h.describe(f)
	}
	switch {
	case f.volume != "" && f.part == "":
		return listing{directory(partSnapshots), directory(partIncoming), regular(partCopy, 0, time.Time{})}, nil
	case f.part == partSnapshots:
		return h.snapshots(f.volume)
	case f.part != "":
		return listing{}, nil
	case r.Filepath == "/":
		return listing{directory("volumes")}, nil
	}
	copies, err := h.server.Backend.Copies(h.ctx)
	if err != nil {
		return nil, status(err)
	}
	var all listing
	for _, c := range copies {
		all = append(all, directory(string(c.Volume)))
	}
	return all, nil
}

func (h *handlers) describe(f file) (sftp.ListerAt, error) {
	switch {
	case f.volume == "" || f.part == "" || (f.delta.To == "" && f.part != partCopy):
		return listing{directory("/")}, nil
	case f.part == partSnapshots:
		all, err := h.snapshots(f.volume)
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			if s.Name() == string(f.delta.To) {
				return listing{s}, nil
			}
		}
		return nil, fs.ErrNotExist
	default:
		return listing{regular(f.part, 0, time.Time{})}, nil
	}
}

func (h *handlers) snapshots(id cluster.VolumeID) (listing, error) {
	held, err := volume.Find(h.ctx, h.server.Backend, id)
	if err != nil {
		return nil, status(err)
	}
	var all listing
	for _, s := range held.Snapshots {
		all = append(all, regular(string(s.Name), s.Bytes, s.Created))
	}
	return all, nil
}

// A listing is the content of a directory.
type listing []os.FileInfo

// ListAt implements sftp.ListerAt.
func (l listing) ListAt(to []os.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(to, l[offset:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

// info describes a file of the tree. The size of a stream is not known before it is made; what
// is shown is about what it will be.
type info struct {
	name string
	size int64
	mode fs.FileMode
	time time.Time
}

func directory(name string) info                        { return info{name: name, mode: fs.ModeDir | 0o755} }
func regular(name string, size int64, t time.Time) info { return info{name, size, 0o644, t} }

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.time }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

// outgoing streams a snapshot to whoever reads the file from its start to its end.
func (h *handlers) outgoing(d volume.Delta) io.ReaderAt {
	ctx, cancel := context.WithCancel(h.ctx)
	r, w := io.Pipe()
	o := &outgoing{turn: newTurn(ctx), pipe: r, cancel: cancel}
	h.streams.Go(func() {
		w.CloseWithError(h.server.Backend.Send(ctx, d, w))
	})
	return o
}

type outgoing struct {
	*turn
	pipe   *io.PipeReader
	cancel context.CancelFunc
	// end is one more than the length of the stream, once that is known.
	end atomic.Int64
}

// ReadAt implements io.ReaderAt for readers that ask for everything in order, with several
// requests under way at once.
func (o *outgoing) ReadAt(p []byte, offset int64) (int, error) {
	if end := o.end.Load(); end > 0 && offset >= end-1 {
		return 0, io.EOF // a client that got less than it asked for asks again
	}
	n, err := 0, o.wait(offset)
	if err == nil {
		if n, err = io.ReadFull(o.pipe, p); errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if err == io.EOF {
			o.end.CompareAndSwap(0, offset+int64(n)+1)
		}
		o.done(offset + int64(len(p)))
	}
	if err != nil && err != io.EOF {
		err = status(err)
	}
	return n, err
}

// Close ends a stream, whether or not it was read to its end.
func (o *outgoing) Close() error {
	o.cancel()
	return o.pipe.Close()
}
