package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// Receive applies a stream to a tree. It returns the snapshot that the tree is at then. A tree that
// is not what its listing says is a *Changed error. After a stream that was cut the listing at Save
// says what there is; the stream of another Send to it as its Base goes on from there.
func Receive(ctx context.Context, a Arrival, r io.Reader) (cluster.Snapshot, Sum, error) {
	in, err := newStreamReader(contextReader{ctx, r})
	if err != nil {
		return cluster.Snapshot{}, Sum{}, err
	}
	header, err := in.header()
	if err == nil {
		err = a.begin(header.Snapshot)
	}
	if err != nil {
		return cluster.Snapshot{}, Sum{}, err
	}
	if a.Resumed {
		defer os.Remove(a.Base)
	}
	base, err := openItems(a.Base)
	if errors.Is(err, cluster.ErrInvalid) {
		err = fmt.Errorf("%w: %w", &Changed{Why: "its listing cannot be read"}, err)
	}
	if err != nil {
		return cluster.Snapshot{}, Sum{}, err
	}
	defer base.close()
	t, err := openTree(a.Root, base)
	if err != nil {
		return cluster.Snapshot{}, Sum{}, err
	}
	defer t.close()
	t.ctx = ctx
	t.resumed = a.Resumed
	t.next = &successor{base: a.Base, save: a.Save}
	t.runs.dir = filepath.Dir(a.Save)
	sum, err := t.receive(in)
	return header.Snapshot, sum, err
}

// begin puts away what is saved, if the stream goes on from there: it is read while the next one is written, and
// is not to pass for what there is after a crash.
func (a *Arrival) begin(s cluster.Snapshot) error {
	if a.Resumed {
		a.Base = a.Save + Before
		if err := durable.Rename(a.Save, a.Base); err != nil {
			return err
		}
	}
	if a.Begin == nil {
		return nil
	}
	err := a.Begin(s)
	if err != nil && a.Resumed {
		err = errors.Join(err, os.Rename(a.Base, a.Save))
	}
	return err
}

// receive applies all frames of a stream.
func (t *tree) receive(in *streamReader) (Sum, error) {
	digest, err := t.apply(in)
	if err == nil {
		err = t.surely(t.finish)
	}
	if err != nil {
		var changed *Changed
		if !errors.As(err, &changed) {
			t.stop()
		}
		return Sum{}, err
	}
	sum, err := t.next.close(t.base.l.sum)
	if err == nil && string(sum.digest()) != string(digest) {
		err = fmt.Errorf("%w: the copy has digest %.16s, the sender's has %.16x", cluster.ErrConflict, sum.Digest, digest)
	}
	return sum, err
}

// apply applies frames up to the last, and returns the digest that is in that.
func (t *tree) apply(in *streamReader) ([]byte, error) {
	for {
		kind, payload, err := in.next()
		if err != nil {
			return nil, err
		}
		switch kind {
		case frameDelete:
			err = t.surely(func() error { return t.delete(string(payload)) })
		case frameEntry:
			d := decoder{b: payload}
			var e entry
			if e, err = d.entry(); err == nil {
				err = t.surely(func() error { return t.put(&e) })
			}
		case frameBlock:
			var number int64
			var h hash
			var data []byte
			if number, h, data, err = parseBlock(payload); err == nil {
				err = t.write(number, h, data)
			}
		case frameZeros:
			var first, count int64
			if first, count, err = parseZeros(payload); err == nil {
				err = t.clear(first, count)
			}
		case frameUpTo:
			err = t.surely(func() error { return t.upTo(string(payload), true) })
		case frameDigest:
			return append([]byte(nil), payload...), nil
		default:
			err = fmt.Errorf("%w: a frame of kind %q within a stream", cluster.ErrInvalid, kind)
		}
		if err != nil {
			return nil, err
		}
	}
}

// Verify holds a tree against its listing. Files that nothing has touched since are not read. What
// is not as listed is a *Changed error.
func Verify(ctx context.Context, root, listing string) error {
	base, err := openItems(listing)
	if errors.Is(err, cluster.ErrInvalid) {
		return fmt.Errorf("%w: %w", &Changed{Why: "its listing cannot be read"}, err)
	}
	if err != nil {
		return err
	}
	defer base.close()
	t, err := openTree(root, base)
	if err != nil {
		return err
	}
	defer t.close()
	t.ctx = ctx
	base.under(ctx)
	return t.finish()
}

// contextReader ends a read loop when its context ends, even if the data keeps coming.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
