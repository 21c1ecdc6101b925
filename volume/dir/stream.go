package dir

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/drover/drover/cluster"
)

// A stream is the difference between two manifests:
//
//	"drover-dir 1\n"
//	frames: type (1 byte), length of the payload (4 bytes, big endian), payload
//
//	'h' header    JSON streamHeader; first
//	'd' delete    a path; with all that is below
//	'e' entry     JSON streamEntry: a name that is new or differs; its blocks follow
//	'b' block     number of the block (8 bytes), SHA-256 (32 bytes), data
//	'z' zeros     number of the block (8 bytes): it is all zeros
//	'm' manifest  SHA-256 (32 bytes) of the manifest that must have come about; last
const magic = "drover-dir 1\n"

const (
	frameHeader   = 'h'
	frameDelete   = 'd'
	frameEntry    = 'e'
	frameBlock    = 'b'
	frameZeros    = 'z'
	frameManifest = 'm'
)

// maxFrame bounds a payload: a block with its head, or an entry with its attributes.
const maxFrame = 1 << 20

type streamHeader struct {
	From     cluster.SnapshotName `json:"from"`
	To       cluster.SnapshotName `json:"to"`
	Snapshot cluster.Snapshot     `json:"snapshot"`
}

// A streamEntry is an entry in JSON. Names are bytes: on Linux they need not be UTF-8, which is
// all that a JSON string can carry.
type streamEntry struct {
	entry
	PathBytes   []byte
	TargetBytes []byte
}

// errCut: the stream ended early. What has arrived is good.
var errCut = errors.New("the stream was cut")

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
	if length > maxFrame {
		return fmt.Errorf("%w: %d bytes in one record of a stream, the most is %d", cluster.ErrUnsupported, length, maxFrame)
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

func (s *streamWriter) json(kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.frame(kind, b)
}

// entry writes all about a name but the content of a file.
func (s *streamWriter) entry(e entry) error {
	e.Blocks, e.Seen = nil, inode{} // those mean nothing elsewhere, or follow by themselves
	return s.json(frameEntry, streamEntry{e, []byte(e.Path), []byte(e.Target)})
}

// block writes a block, or that it is zeros.
func (s *streamWriter) block(number int, h hash, data []byte) error {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(number))
	if h == zeroHash {
		return s.frame(frameZeros, n[:])
	}
	return s.frame(frameBlock, n[:], h[:], data)
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
		return nil, fmt.Errorf("%w: this is not a stream of backend dir", cluster.ErrInvalid)
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
	if length > maxFrame {
		return 0, nil, fmt.Errorf("%w: a record of %d bytes in a stream, the most is %d", cluster.ErrInvalid, length, maxFrame)
	}
	if int(length) > cap(s.payload) {
		s.payload = make([]byte, max(int(length), blockSize+64))
	}
	s.payload = s.payload[:length]
	if _, err := io.ReadFull(s.r, s.payload); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errCut, err)
	}
	return head[0], s.payload, nil
}

// parseBlock splits the payload of a block or of zeros.
func parseBlock(kind byte, payload []byte) (number uint64, h hash, data []byte, err error) {
	head := 8
	if kind == frameBlock {
		head += len(h)
	}
	if len(payload) < head || (kind == frameZeros && len(payload) != head) || len(payload) > head+blockSize {
		return 0, h, nil, fmt.Errorf("%w: a block of %d bytes in a stream", cluster.ErrInvalid, len(payload))
	}
	number = binary.BigEndian.Uint64(payload)
	if kind == frameZeros {
		return number, zeroHash, nil, nil
	}
	copy(h[:], payload[8:])
	data = payload[head:]
	if hashOf(data) != h {
		return 0, h, nil, fmt.Errorf("%w: a block does not have its hash", cluster.ErrInvalid)
	}
	return number, h, data, nil
}

// parseEntry reads an entry and checks that it stays below the root.
func parseEntry(payload []byte) (entry, error) {
	var in streamEntry
	if err := decodeJSON(payload, &in); err != nil {
		return in.entry, err
	}
	e := in.entry
	e.Path, e.Target = string(in.PathBytes), string(in.TargetBytes)
	if err := checkPath(e.Path); err != nil {
		return e, err
	}
	e.Seen, e.Blocks = inode{}, nil // those of the sender mean nothing here
	switch e.Kind {
	case kindFile, kindDir, kindSymlink, kindFIFO:
	case kindHardlink:
		if err := checkPath(e.Target); err != nil {
			return e, err
		}
	default:
		return e, fmt.Errorf("%w: an entry of kind %q in a stream", cluster.ErrInvalid, e.Kind)
	}
	if e.Size < 0 || (e.Kind != kindFile && e.Size != 0) || (e.Path == "." && e.Kind != kindDir) {
		return e, fmt.Errorf("%w: entry %q of kind %q and size %d in a stream", cluster.ErrInvalid, e.Path, e.Kind, e.Size)
	}
	return e, nil
}

func checkPath(path string) error {
	if !filepath.IsLocal(path) || filepath.Clean(path) != path {
		return fmt.Errorf("%w: path %q in a stream", cluster.ErrInvalid, path)
	}
	return nil
}

func decodeJSON(payload []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	if err := decoder.Decode(v); err != nil {
		return fmt.Errorf("%w: a record of a stream: %w", cluster.ErrInvalid, err)
	}
	return nil
}
