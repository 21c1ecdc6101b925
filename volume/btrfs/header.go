package btrfs

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume/dir"
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

// peekHeader reads the header of a stream, or, of one of another kind, as much as tells that.
func peekHeader(r io.Reader) (start []byte, s cluster.Snapshot, err error) {
	start = make([]byte, len(magic))
	n, err := io.ReadFull(r, start)
	if err != nil || string(start) != magic {
		if dir.IsFiles(start[:n]) {
			return start[:n], s, nil
		}
		if err == nil {
			err = fmt.Errorf("%w: this is no stream of the btrfs backend", cluster.ErrUnsupported)
		}
		return nil, s, err
	}
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, s, err
	}
	if binary.LittleEndian.Uint32(length[:]) > maxHeader {
		return nil, s, fmt.Errorf("%w: a header of %d bytes", cluster.ErrInvalid, binary.LittleEndian.Uint32(length[:]))
	}
	b := make([]byte, binary.LittleEndian.Uint32(length[:]))
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, s, fmt.Errorf("%w: the header of a stream: %w", cluster.ErrInvalid, err)
	}
	return start, s, nil
}
