package files

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
)

// A stream is what a tree has that its receiver has not, in the order of a walk:
//
//	"drover-files 2\n"
//	frames: kind (1 byte), length of the payload (4 bytes, big endian), payload
//
//	'h' header    JSON streamHeader; first
//	'd' delete    a path; with all that is below
//	'e' entry     what travels of an entry that is new or differs; its blocks follow
//	'b' block     number of the block (8 bytes), SHA-256 (32 bytes), data
//	'z' zeros     number of the first block (8 bytes), how many (8 bytes)
//	'u' up to     a path: up to here, all that was not told of is as it was
//	'm' digest    SHA-256 (32 bytes) of the listing that must have come about; last
const magic = "drover-files 2\n"

const (
	frameHeader = 'h'
	frameDelete = 'd'
	frameEntry  = 'e'
	frameBlock  = 'b'
	frameZeros  = 'z'
	frameUpTo   = 'u'
	frameDigest = 'm'
)

// maxHeader bounds the header of a stream, in bytes.
const maxHeader = 64 << 10

// maxPayload bounds the payloads, by kind.
var maxPayload = map[byte]int{frameHeader: maxHeader, frameDelete: maxPath, frameEntry: maxRecord, frameBlock: 8 + len(hash{}) + blockSize,
	frameZeros: 16, frameUpTo: maxPath, frameDigest: len(hash{})}

type streamHeader struct {
	From     cluster.SnapshotName `json:"from"`
	To       cluster.SnapshotName `json:"to"`
	Snapshot cluster.Snapshot     `json:"snapshot"`
}

// errCut: the stream ended early. What has arrived is good.
var errCut = fmt.Errorf("%w: the stream was cut", cluster.ErrUnavailable)

// A streamWriter writes frames.
type streamWriter struct {
	w    *bufio.Writer
	head [5 + 8 + len(hash{})]byte
}

func newStreamWriter(w io.Writer) (*streamWriter, error) {
	s := &streamWriter{w: bufio.NewWriterSize(w, 256<<10)}
	_, err := s.w.WriteString(magic)
	return s, err
}

func (s *streamWriter) frame(kind byte, parts ...[]byte) error {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	s.head[0] = kind
	binary.BigEndian.PutUint32(s.head[1:], uint32(length))
	if _, err := s.w.Write(s.head[:5]); err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := s.w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

func (s *streamWriter) header(h streamHeader) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return s.frame(frameHeader, b)
}

func (s *streamWriter) entry(e *entry) error { return s.frame(frameEntry, e.append(nil)) }

func (s *streamWriter) block(number int64, h hash, data []byte) error {
	binary.BigEndian.PutUint64(s.head[5:], uint64(number))
	copy(s.head[13:], h[:])
	return s.frame(frameBlock, s.head[5:], data)
}

func (s *streamWriter) zeros(first, count int64) error {
	binary.BigEndian.PutUint64(s.head[5:], uint64(first))
	binary.BigEndian.PutUint64(s.head[13:], uint64(count))
	return s.frame(frameZeros, s.head[5:21])
}

// A streamReader reads frames.
type streamReader struct {
	r       *bufio.Reader
	payload []byte
}

func newStreamReader(r io.Reader) (*streamReader, error) {
	s := &streamReader{r: bufio.NewReaderSize(r, 256<<10)}
	var got [len(magic)]byte
	if _, err := io.ReadFull(s.r, got[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", errCut, err)
	}
	if string(got[:]) != magic {
		return nil, fmt.Errorf("%w: this is no stream of files, or one of another version of Drover: upgrade the older node first", cluster.ErrUnsupported)
	}
	return s, nil
}

// next returns the next frame; the payload is valid until the next call.
func (s *streamReader) next() (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errCut, err)
	}
	length := binary.BigEndian.Uint32(head[1:])
	most, known := maxPayload[head[0]]
	if !known || length > uint32(most) {
		return 0, nil, fmt.Errorf("%w: a frame of kind %q and %d bytes in a stream", cluster.ErrInvalid, head[0], length)
	}
	if s.payload, err = readPart(s.r, s.payload, int(length)); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errCut, err)
	}
	return head[0], s.payload, nil
}

// header reads the first frame.
func (s *streamReader) header() (h streamHeader, err error) {
	kind, payload, err := s.next()
	if err != nil {
		return h, err
	}
	if kind != frameHeader {
		return h, fmt.Errorf("%w: a stream that begins with a frame of kind %q", cluster.ErrInvalid, kind)
	}
	if err := json.Unmarshal(payload, &h); err != nil {
		return h, fmt.Errorf("%w: the header of a stream: %w", cluster.ErrInvalid, err)
	}
	if h.Snapshot.Name != h.To {
		return h, fmt.Errorf("%w: a stream to snapshot %q of snapshot %q", cluster.ErrInvalid, h.To, h.Snapshot.Name)
	}
	return h, nil
}

// parseBlock splits the payload of a block.
func parseBlock(payload []byte) (number int64, h hash, data []byte, err error) {
	if len(payload) < 8+len(h) {
		return 0, h, nil, fmt.Errorf("%w: a block of %d bytes in a stream", cluster.ErrInvalid, len(payload))
	}
	number = int64(binary.BigEndian.Uint64(payload))
	copy(h[:], payload[8:])
	data = payload[8+len(h):]
	if h == zeroHash || hashOf(data) != h {
		return 0, h, nil, fmt.Errorf("%w: a block does not have its hash", cluster.ErrInvalid)
	}
	return number, h, data, nil
}

// parseZeros splits the payload of a stretch of zeros.
func parseZeros(payload []byte) (first, count int64, err error) {
	if len(payload) != 16 {
		return 0, 0, fmt.Errorf("%w: %d bytes for a stretch of zeros", cluster.ErrInvalid, len(payload))
	}
	return int64(binary.BigEndian.Uint64(payload)), int64(binary.BigEndian.Uint64(payload[8:])), nil
}
