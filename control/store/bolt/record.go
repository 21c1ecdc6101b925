package bolt

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
)

// revisionSize is how many bytes a revision takes up in the file.
const revisionSize = 8

var errShort = errors.New("the file is damaged: a revision is cut short")

func writeRevision(r cluster.Revision) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(r))
}

// readRevision reads what writeRevision wrote; nothing is zero.
func readRevision(data []byte) (cluster.Revision, error) {
	switch len(data) {
	case 0:
		return 0, nil
	case revisionSize:
		return cluster.Revision(binary.BigEndian.Uint64(data)), nil
	}
	return 0, errShort
}

// readRecord copies a record out of memory that is only valid inside its transaction.
func readRecord(data []byte) (store.Record, error) {
	revision, err := recordRevision(data)
	if err != nil || data == nil {
		return store.Record{}, err
	}
	return store.Record{Value: slices.Clone(data[revisionSize:]), Revision: revision}, nil
}

// recordRevision returns the revision of a record; zero for none.
func recordRevision(data []byte) (cluster.Revision, error) {
	if data == nil {
		return 0, nil
	}
	if len(data) < revisionSize {
		return 0, errShort
	}
	return readRevision(data[:revisionSize])
}
