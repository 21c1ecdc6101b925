package ssh

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/drover/drover/cluster"
)

// trailerSize is the length of the hash at the end of what is written.
const trailerSize = 8

// trailerOf returns the trailer of what was hashed.
func trailerOf(hash *xxhash.Digest) []byte {
	return binary.BigEndian.AppendUint64(nil, hash.Sum64())
}

// A trailed reads a stream whose last bytes are its hash: they are held back, and where the
// stream ends they are compared. It guards against mistakes on the way that neither SSH's
// authentication, which ends at the packet, nor the backend's own hashes would see.
type trailed struct {
	r    *bufio.Reader
	hash *xxhash.Digest
}

func newTrailed(r io.Reader) *trailed { return newTrailedSize(r, 2*maxPacket) }

func newTrailedSize(r io.Reader, buffer int) *trailed {
	return &trailed{r: bufio.NewReaderSize(r, buffer), hash: xxhash.New()}
}

// Read returns the stream without its trailer. It ends with io.EOF only if the hash fits.
func (t *trailed) Read(p []byte) (int, error) {
	held, err := t.r.Peek(trailerSize + 1)
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF):
		return 0, err
	default:
		if err := t.end(held); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	n, err := t.r.Read(p[:min(len(p), t.r.Buffered()-trailerSize)])
	t.hash.Write(p[:n])
	return n, err
}

// WriteTo implements io.WriterTo: it writes straight from where packets are put together.
func (t *trailed) WriteTo(w io.Writer) (written int64, err error) {
	for {
		held, err := t.r.Peek(trailerSize + 1)
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return written, err
		default:
			return written, t.end(held)
		}
		if held, err = t.r.Peek(t.r.Buffered() - trailerSize); err != nil {
			return written, err
		}
		n, err := w.Write(held)
		written += int64(n)
		t.hash.Write(held[:n])
		if err != nil {
			return written, err
		}
		if _, err := t.r.Discard(n); err != nil {
			return written, err
		}
	}
}

// end compares what is left with the hash of what was read.
func (t *trailed) end(held []byte) error {
	if string(held) == string(trailerOf(t.hash)) {
		return nil
	}
	return fmt.Errorf("%w: the stream does not have the hash that was sent", cluster.ErrConflict)
}

// verify reads what the backend had no use for, and compares the hashes.
func (t *trailed) verify() error {
	_, err := io.Copy(io.Discard, t)
	return err
}
