package files

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	gohash "hash"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// A listing says what a tree holds, in the order of a walk. It is read and written from its beginning
// to its end, never whole in memory:
//
//	"drover-listing 1\n", then, packed by zstd, records: kind (1 byte), length (uvarint), payload
//
//	'h' header   when the look at the tree began: a moment; and in which boot of the host: a text
//	'e' entry    length of what travels (uvarint), what travels, sum (32 bytes), held, inode, ctime
//	'k' blocks   the hashes of blocks of 64 KiB that follow each other in the file of the entry before
//	'r' zeros    how many blocks of nothing but zeros follow (uvarint)
//	'x' leave    inode and ctime of a directory; after all that is in it
//	'.' end      how many entries, how many bytes, and the digest
//
// Without the end it is cut short, and nothing of it counts.
const listingMagic = "drover-listing 1\n"

const (
	recordHeader = 'h'
	recordEntry  = 'e'
	recordBlocks = 'k'
	recordZeros  = 'r'
	recordLeave  = 'x'
	recordEnd    = '.'
)

// maxListing bounds a listing as it is unpacked: that of a full tree of 64 TiB takes half as much. What is
// packed may unpack to thirty thousand times as much.
const maxListing = 64 << 30

// maxRecord bounds a record: an entry with all its attributes.
const maxRecord = maxAttributes + 4*maxPath

// A record is one of a listing. The payload is valid until the next one is read.
type record struct {
	kind    byte
	payload []byte
}

// A header is how a listing begins.
type header struct {
	// began is when the look at the tree began, by the clock that stamps its files: a file that is
	// stamped earlier had, at its last look, all that was written to it. Zero: no stamp proves anything.
	began moment
	// boot is that of the host; empty for a tree that was frozen. After a loss of power a file may hold
	// what was written after its stamp, since blocks reach the disk before the inode does.
	boot string
}

// packWindow is how far zstd looks back. More takes memory on both sides, and saves little.
const packWindow = 512 << 10

// A listingReader reads records.
type listingReader struct {
	header
	file   *os.File
	unpack *zstd.Decoder
	in     *bufio.Reader
	buffer []byte
	ctx    context.Context // ends the reading; nil: nobody does
	read   int64           // what has been unpacked
	// sum is that of the whole, once the end has been read.
	sum Sum
}

// openListing opens a listing; an empty path is one of nothing. It returns cluster.ErrInvalid for a
// file that is none.
func openListing(path string) (*listingReader, error) {
	if path == "" {
		return &listingReader{}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	l := &listingReader{file: f}
	if err := l.begin(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *listingReader) begin() error {
	start := make([]byte, len(listingMagic))
	if _, err := io.ReadFull(l.file, start); err != nil || string(start) != listingMagic {
		return fmt.Errorf("%w: %s is no listing, or cut short", cluster.ErrInvalid, filepath.Base(l.file.Name()))
	}
	var err error
	l.unpack, err = zstd.NewReader(l.file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return err
	}
	l.in = bufio.NewReaderSize(l.unpack, 64<<10)
	r, err := l.next()
	if err != nil {
		return err
	}
	d := decoder{b: r.payload}
	l.began, l.boot = d.moment(), d.text(64)
	if r.kind != recordHeader || d.bad {
		return l.invalid()
	}
	return nil
}

func (l *listingReader) invalid() error {
	return fmt.Errorf("%w: listing %s cannot be read", cluster.ErrInvalid, filepath.Base(l.file.Name()))
}

// next returns the next record, and io.EOF after the end.
func (l *listingReader) next() (record, error) {
	if l.in == nil {
		return record{}, io.EOF
	}
	if l.ctx != nil && l.ctx.Err() != nil {
		return record{}, context.Cause(l.ctx)
	}
	kind, err := l.in.ReadByte()
	if err != nil {
		return record{}, l.cut(err)
	}
	length, err := binary.ReadUvarint(l.in)
	if err != nil {
		return record{}, l.cut(err)
	}
	if l.read += int64(length) + 2; length > maxRecord || l.read > maxListing {
		return record{}, l.invalid()
	}
	if l.buffer, err = readPart(l.in, l.buffer, int(length)); err != nil {
		return record{}, l.cut(err)
	}
	r := record{kind, l.buffer}
	if kind != recordEnd {
		return r, nil
	}
	d := decoder{b: r.payload}
	l.sum.Entries, l.sum.Bytes = d.varint(), d.varint()
	digest := d.hash()
	l.sum.Digest = hex.EncodeToString(digest[:])
	if d.bad {
		return record{}, l.invalid()
	}
	l.in = nil
	return record{}, io.EOF
}

func (l *listingReader) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: listing %s is cut short", cluster.ErrInvalid, filepath.Base(l.file.Name()))
	}
	return fmt.Errorf("%w: listing %s: %w", cluster.ErrInvalid, filepath.Base(l.file.Name()), err)
}

func (l *listingReader) close() {
	if l.unpack != nil {
		l.unpack.Close()
	}
	if l.file != nil {
		l.file.Close() // it was read only
	}
}

// readPart reads n bytes into a buffer, which grows as they come: a length alone makes nobody take memory.
func readPart(r io.Reader, buffer []byte, n int) ([]byte, error) {
	const step = 256 << 10
	buffer = buffer[:0]
	for len(buffer) < n {
		part := min(step, n-len(buffer))
		if cap(buffer) < len(buffer)+part {
			buffer = append(buffer, make([]byte, part)...)[:len(buffer)]
		}
		if _, err := io.ReadFull(r, buffer[len(buffer):len(buffer)+part]); err != nil {
			return buffer, err
		}
		buffer = buffer[:len(buffer)+part]
	}
	return buffer, nil
}

// A listingWriter writes a listing beside the place where it shall be.
type listingWriter struct {
	path   string
	file   *roomy
	pack   *zstd.Encoder
	out    *bufio.Writer
	digest gohash.Hash
	sum    Sum
	buffer []byte
}

// newListing begins the listing that shall be at path, or elsewhere if that is not nil and there is no room.
// It ends with close or abandon.
func newListing(path string, h header, elsewhere func() (*os.File, error)) (*listingWriter, error) {
	f, err := createRoomy(filepath.Dir(path), "."+filepath.Base(path)+".*", elsewhere)
	if err != nil {
		return nil, err
	}
	w := &listingWriter{path: path, file: f, digest: sha256.New()}
	if w.pack, err = zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(packWindow)); err == nil {
		_, err = f.Write([]byte(listingMagic))
	}
	if err != nil {
		return nil, errors.Join(err, w.abandon())
	}
	w.out = bufio.NewWriterSize(w.pack, 64<<10)
	if err := w.record(record{recordHeader, appendText(h.began.append(nil), h.boot)}); err != nil {
		return nil, errors.Join(err, w.abandon())
	}
	return w, nil
}

// record writes a record as it is.
func (w *listingWriter) record(r record) error {
	if r.kind == recordEntry {
		travels, held := publicPart(r.payload)
		w.digest.Write(travels)
		w.sum.Entries++
		w.sum.Bytes += held
	}
	w.out.WriteByte(r.kind) // the first error is kept, and returned by the last write
	w.buffer = binary.AppendUvarint(w.buffer[:0], uint64(len(r.payload)))
	w.out.Write(w.buffer)
	_, err := w.out.Write(r.payload)
	return err
}

// publicPart returns what the digest covers of the payload of an entry, and how many bytes its file holds.
func publicPart(payload []byte) (covered []byte, held int64) {
	d := decoder{b: payload}
	n := min(d.uvarint(), uint64(len(d.b)))
	covered = d.b[:min(int(n)+len(hash{}), len(d.b))]
	d.b = d.b[len(covered):]
	return covered, int64(d.uvarint())
}

// payloadOf encodes an entry for a listing.
func payloadOf(e *entry) []byte {
	travels := e.append(nil)
	b := append(binary.AppendUvarint(nil, uint64(len(travels))), travels...)
	b = append(b, e.sum[:]...)
	b = binary.AppendUvarint(b, uint64(e.held))
	return e.seen.append(b)
}

// parseListed reads what payloadOf wrote.
func parseListed(payload []byte) (entry, error) {
	d := decoder{b: payload}
	inner := decoder{b: d.bytes(maxRecord)}
	e, err := inner.entry()
	if err != nil {
		return e, err
	}
	e.sum, e.held, e.seen = d.hash(), int64(d.uvarint()), d.seen()
	if d.bad || e.held < 0 {
		return e, fmt.Errorf("%w: an entry of a listing cannot be read", cluster.ErrInvalid)
	}
	return e, nil
}

func (s seen) append(b []byte) []byte { return s.ctime.append(binary.AppendUvarint(b, s.ino)) }

func (d *decoder) seen() seen { return seen{d.uvarint(), d.moment()} }

// close makes the listing durable at its place.
func (w *listingWriter) close() (Sum, error) {
	digest := w.digest.Sum(nil)
	w.sum.Digest = hex.EncodeToString(digest)
	end := binary.AppendVarint(binary.AppendVarint(nil, w.sum.Entries), w.sum.Bytes)
	err := w.record(record{recordEnd, append(end, digest...)})
	if err == nil {
		err = w.out.Flush()
	}
	if err == nil {
		err = w.pack.Close()
	}
	if err == nil && !w.file.moved {
		if err = w.place(); w.file.full(err) {
			err = w.file.move()
		}
	}
	if err != nil {
		return Sum{}, errors.Join(fmt.Errorf("write listing %s: %w", filepath.Base(w.path), err), w.abandon())
	}
	if w.file.moved {
		return w.sum, nil // whoever gave the file keeps it
	}
	return w.sum, w.file.Close()
}

func (w *listingWriter) place() error {
	if err := w.file.Sync(); err != nil {
		return err
	}
	return durable.Rename(w.file.Name(), w.path)
}

// abandon removes what was written.
func (w *listingWriter) abandon() error {
	if w.pack != nil {
		w.pack.Close() // what it still holds is of no use
	}
	w.file.remove()
	return nil
}
