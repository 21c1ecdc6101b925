package btrfs

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
)

// Before the kernel's stream goes the snapshot that it is of, which the kernel knows nothing of:
//
//	"drover-btrfs 1\n"  4 bytes length, little endian  JSON of a cluster.Snapshot

const magic = "drover-btrfs 1\n"

// maxHeader bounds what a peer can make us read into memory.
const maxHeader = 64 << 10

func writeHeader(w io.Writer, s cluster.Snapshot) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	header := binary.LittleEndian.AppendUint32([]byte(magic), uint32(len(b)))
	_, err = w.Write(append(header, b...))
	return err
}

func readHeader(r io.Reader) (cluster.Snapshot, error) {
	var s cluster.Snapshot
	start := make([]byte, len(magic)+4)
	if _, err := io.ReadFull(r, start); err != nil {
		return s, err
	}
	if string(start[:len(magic)]) != magic {
		return s, fmt.Errorf("%w: this is no stream of the btrfs backend", cluster.ErrUnsupported)
	}
	length := binary.LittleEndian.Uint32(start[len(magic):])
	if length > maxHeader {
		return s, fmt.Errorf("%w: a header of %d bytes", cluster.ErrInvalid, length)
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(r, b); err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%w: the header of a stream: %w", cluster.ErrInvalid, err)
	}
	return s, nil
}
