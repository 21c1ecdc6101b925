package ssh

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// An upload is one delta on its way, over as many connections as that takes.
type upload struct {
	transport *Transport
	delta     volume.Delta
	source    transfer.Source
	meter     *meter
	tried     bool
	listed    bool   // besides its token, what has arrived takes a listing to go on from
	seen      uint64 // the hash of the last one
}

// Send implements transfer.Session. A small delta takes two round trips beside its data: one opens
// the file, one closes it.
func (s *session) Send(ctx context.Context, d volume.Delta, source transfer.Source, o transfer.Options) (int64, error) {
	u := &upload{transport: s.transport, delta: d, source: source, meter: newMeter(o)}
	err := s.attempts(ctx, u.attempt)
	return u.meter.finish(), err
}

func (u *upload) attempt(ctx context.Context, c *connection, p *patience) error {
	if u.tried || len(u.delta.Resume) > 0 {
		if done, err := u.goOn(c, p); done || err != nil {
			return err
		}
	}
	u.tried = true
	d := u.delta
	if u.listed {
		arrived, err := u.arrived(c, p)
		if err != nil {
			return err
		}
		if arrived == nil {
			d.Resume = nil
		} else {
			defer arrived.Close()
			d.Arrived = arrived.path()
		}
	}
	return write(ctx, c, deltaPath(partIncoming, d), u.meter, func(ctx context.Context, w io.Writer) error {
		return u.source.Send(ctx, d, w)
	})
}

// arrived fetches the listing to go on from. Without one, because it is gone by now or there is no room
// for it here, the transfer begins anew.
func (u *upload) arrived(c *connection, p *patience) (*spooled, error) {
	s, err := u.transport.fetchArrived(c, u.delta.Volume)
	var own *ownError
	var remote *remoteError
	switch {
	case err == nil && s.hash != u.seen:
		u.seen = s.hash
		p.renew() // more has arrived
		fallthrough
	case err == nil:
		return s, nil
	case errors.As(err, &own):
		u.transport.log().Warn("a transfer that was cut begins anew: what has arrived cannot be looked at here", "volume", u.delta.Volume, "error", own.error)
		return nil, nil
	case errors.As(answered(err), &remote) && (errors.Is(remote, cluster.ErrNotFound) || errors.Is(remote, cluster.ErrStale)):
		return nil, nil
	}
	return nil, err
}

// goOn looks at what became of an attempt that broke off. Either the transfer is done after all,
// or it goes on from what has arrived.
func (u *upload) goOn(c *connection, p *patience) (done bool, err error) {
	held, err := readCopy(c, u.delta.Volume)
	if err != nil && !errors.Is(answered(err), cluster.ErrNotFound) {
		return false, err
	}
	var token []byte
	if part := held.Partial; part != nil && part.From == u.delta.From && part.To == u.delta.To {
		token = part.Token
	}
	// Where there is a listing, that says whether more has arrived: such a token is one of an attempt.
	if len(token) > 0 && !held.Partial.Listed && !slices.Equal(token, u.delta.Resume) {
		p.renew() // more has arrived
	}
	u.delta.Resume, u.listed = token, len(token) > 0 && held.Partial.Listed
	return slices.ContainsFunc(held.Snapshots, func(s cluster.Snapshot) bool { return s.Name == u.delta.To }), nil
}

// SendImage implements transfer.Session.
func (s *session) SendImage(ctx context.Context, name string, save func(context.Context, io.Writer) error, o transfer.Options) (int64, error) {
	meter := newMeter(o)
	err := s.attempts(ctx, func(ctx context.Context, c *connection, _ *patience) error {
		return write(ctx, c, imagePath(name), meter, save)
	})
	return meter.finish(), err
}

// write writes one stream into a file. Closing the file is the confirmation.
func write(ctx context.Context, c *connection, path string, m *meter, source func(context.Context, io.Writer) error) error {
	f, err := c.sftp.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	// The source may be slow to end with its context; what reads from it is not.
	defer context.AfterFunc(ctx, func() { w.CloseWithError(errSource) })()
	made := make(chan error, 1)
	go func() { made <- stream(ctx, w, m, source) }()
	_, err = f.ReadFromWithConcurrency(r, inFlight)
	r.Close() // the source must not write for nobody
	cancel()
	switch sourceErr := <-made; {
	case errors.Is(err, errSource):
		// Without a close: one in order would say that the stream is complete.
		return &ownError{sourceErr}
	case err != nil && answered(err) == nil:
		return err // the connection broke
	}
	if closing := f.Close(); closing != nil {
		return closing // says why writing failed, too
	}
	return err
}

// stream writes the stream of the source and its trailer to w.
func stream(ctx context.Context, w *io.PipeWriter, m *meter, source func(context.Context, io.Writer) error) error {
	hash := xxhash.New()
	err := source(ctx, io.MultiWriter(m.writer(ctx, w), hash))
	if err == nil {
		_, err = w.Write(trailerOf(hash))
	}
	if err != nil {
		w.CloseWithError(errSource)
		return err
	}
	return w.Close()
}

// errSource stands for the error of the source where the SFTP client would look into it: an
// io.EOF in it would pass for the end of the stream.
var errSource = errors.New("the source failed")

// An ownError is this side's: another connection would not help.
type ownError struct{ error }
