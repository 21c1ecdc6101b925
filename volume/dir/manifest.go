package dir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// blockSize is the unit in which a changed file is shipped. Smaller ones ship less for scattered
// writes, larger ones need fewer hashes: 32 bytes for each 64 KiB.
const blockSize = 64 << 10

// A hash is the SHA-256 of a block. The last block of a file is as long as the file has it.
type hash [sha256.Size]byte

// zeroHash stands for a block of zeros, which is not shipped but left as a hole.
var zeroHash hash

// kind is what an entry is.
type kind byte

const (
	kindFile     kind = 'f'
	kindDir      kind = 'd'
	kindSymlink  kind = 'l'
	kindHardlink kind = 'h' // another name of an earlier file
	kindFIFO     kind = 'p'
)

// An entry is one name below the root of a volume.
type entry struct {
	Path  string `json:"-"` // see streamEntry
	Kind  kind
	Mode  uint32 // permissions, setuid, setgid and sticky as st_mode has them
	UID   int
	GID   int
	MTime int64 // nanoseconds since 1970; zero for symbolic and hard links
	Size  int64 // of a file, in bytes
	// Target is where a symbolic link points, or the path whose other name a hard link is.
	Target string `json:"-"`
	Xattrs map[string][]byte
	Blocks []hash
	// Seen is the inode as it was when its content was hashed, on this node only.
	Seen inode
}

// An inode is what tells whether a file may have been written since.
type inode struct {
	Ino   uint64
	CTime int64
}

// same reports whether two entries mean the same to another node, leaving out their content.
func (e entry) same(o entry) bool {
	if e.Path != o.Path || e.Kind != o.Kind || e.Mode != o.Mode || e.UID != o.UID || e.GID != o.GID ||
		e.MTime != o.MTime || e.Size != o.Size || e.Target != o.Target || len(e.Xattrs) != len(o.Xattrs) {
		return false
	}
	for name, value := range e.Xattrs {
		if !bytes.Equal(value, o.Xattrs[name]) {
			return false
		}
	}
	return true
}

// A manifest is the content of a volume at a snapshot: every name, sorted, with the hashes of
// every block.
type manifest struct {
	Snapshot cluster.Snapshot
	// Scanned is when the look at the files began, by the clock that stamps them.
	Scanned int64
	Entries []entry
}

// index returns the entries by path.
func (m *manifest) index() map[string]*entry {
	byPath := make(map[string]*entry, len(m.Entries))
	for i := range m.Entries {
		byPath[m.Entries[i].Path] = &m.Entries[i]
	}
	return byPath
}

// bytes is the sum of the sizes of the files.
func (m *manifest) bytes() int64 {
	var n int64
	for _, e := range m.Entries {
		n += e.Size
	}
	return n
}

// digest is a hash over all that the manifest says of the content. Both sides compute it from
// what they have, so that equal digests mean equal volumes.
func (m *manifest) digest() hash {
	h := sha256.New()
	var number [8]byte
	word := func(n int64) {
		binary.BigEndian.PutUint64(number[:], uint64(n))
		h.Write(number[:])
	}
	text := func(s string) {
		word(int64(len(s)))
		h.Write([]byte(s))
	}
	for _, e := range m.Entries {
		text(e.Path)
		text(e.Target)
		for _, n := range []int64{int64(e.Kind), int64(e.Mode), int64(e.UID), int64(e.GID), e.MTime, e.Size, int64(len(e.Blocks))} {
			word(n)
		}
		for _, b := range e.Blocks {
			h.Write(b[:])
		}
	}
	return hash(h.Sum(nil))
}

// racy is the longest time by which a file may be stamped earlier than it was written: the
// kernel stamps with the time of the last tick.
const racy = int64(20 * time.Millisecond)

// trusted reports whether a file that looks as it did at the scan has not been written since. A
// stamp that is as young as the scan proves nothing: a write in the same tick leaves it alone.
func (m *manifest) trusted(was *entry, now entry) bool {
	return was != nil && was.Kind == kindFile && was.Seen.Ino != 0 && was.Seen == now.Seen &&
		was.Size == now.Size && was.MTime == now.MTime && now.Seen.CTime < m.Scanned-racy
}

// encode packs a manifest for a file or a token.
func (m *manifest) encode() ([]byte, error) {
	var buffer bytes.Buffer
	packer, err := zstd.NewWriter(&buffer, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	if err := gob.NewEncoder(packer).Encode(m); err != nil {
		return nil, err
	}
	if err := packer.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// maxManifest bounds what a packed manifest may unpack to: enough for 10 TB.
const maxManifest = 8 << 30

func decodeManifest(b []byte) (*manifest, error) {
	unpacker, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderMaxMemory(maxManifest), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer unpacker.Close()
	m := &manifest{}
	if err := gob.NewDecoder(unpacker).Decode(m); err != nil {
		return nil, fmt.Errorf("%w: read a manifest: %w", cluster.ErrInvalid, err)
	}
	return m, nil
}

func (m *manifest) save(path string) error {
	b, err := m.encode()
	if err != nil {
		return err
	}
	return durable.WriteFile(path, b, 0o600)
}

// loadManifest returns cluster.ErrNotFound if there is none.
func loadManifest(path string) (*manifest, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("manifest %s: %w", path, cluster.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return decodeManifest(b)
}
