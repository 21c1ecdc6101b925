package btrfs

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/files"
)

// Before the kernel's stream goes what the kernel knows nothing of:
//
//	"drover-btrfs 1\n"  4 bytes length, little endian  JSON of a header

const magic = "drover-btrfs 1\n"

// maxHeader bounds what a peer can make us read into memory.
const maxHeader = 64 << 10

// A header says what a stream of the kernel's is of.
type header struct {
	cluster.Snapshot
	// Lineage is the kernel's for the snapshot. It is the GUID too, unless the volume was once at a
	// node of another kind, which gave it one of its own.
	Lineage string `json:"lineage,omitempty"`
	// Base is the lineage of the snapshot that the stream builds on.
	Base string `json:"base,omitempty"`
}

func (h header) write(w io.Writer) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	start := binary.LittleEndian.AppendUint32([]byte(magic), uint32(len(b)))
	_, err = w.Write(append(start, b...))
	return err
}

// peekHeader reads the header of a stream, or, of one of another kind, as much as tells that.
func peekHeader(r io.Reader) (start []byte, h header, err error) {
	start = make([]byte, len(magic))
	n, err := io.ReadFull(r, start)
	if err != nil || string(start) != magic {
		if files.Is(start[:n]) {
			return start[:n], h, nil
		}
		if err == nil {
			err = fmt.Errorf("%w: this is no stream of the btrfs backend", cluster.ErrUnsupported)
		}
		return nil, h, err
	}
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, h, err
	}
	if binary.LittleEndian.Uint32(length[:]) > maxHeader {
		return nil, h, fmt.Errorf("%w: a header of %d bytes", cluster.ErrInvalid, binary.LittleEndian.Uint32(length[:]))
	}
	b := make([]byte, binary.LittleEndian.Uint32(length[:]))
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, h, err
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return nil, h, fmt.Errorf("%w: the header of a stream: %w", cluster.ErrInvalid, err)
	}
	if h.Lineage == "" { // from a node of an earlier version
		h.Lineage = h.GUID
	}
	return start, h, nil
}

// matches holds a header against the order, before anything is made of what it says.
func (h header) matches(d volume.Delta) error {
	if b, err := hex.DecodeString(h.Lineage); err != nil || len(b) != 16 {
		return fmt.Errorf("%w: the stream is of lineage %q", cluster.ErrInvalid, h.Lineage)
	}
	return matches(h.Snapshot, d)
}

func matches(s cluster.Snapshot, d volume.Delta) error {
	if s.Name != d.To || s.GUID == "" {
		return fmt.Errorf("%w: the stream is of snapshot %q with GUID %q", cluster.ErrInvalid, s.Name, s.GUID)
	}
	return nil
}
