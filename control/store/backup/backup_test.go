package backup_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/store/backup"
)

func sample() backup.Backup {
	return backup.Backup{
		Cluster: "c", Version: "v", Taken: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Revision: 7,
		Records: map[string]store.Record{
			"configuration": {Revision: 3},
			"volume/\"é\n":  {Value: []byte("{\"a\": \"<\x00\xff>\"}\n"), Revision: 7},
		},
	}
}

func TestWhatWasBackedUpIsRead(t *testing.T) {
	want := sample()
	got, err := backup.Decode(want.Encode())
	got.Records["configuration"] = store.Record{Revision: got.Records["configuration"].Revision} // nil or empty
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if !bytes.Equal(want.Encode(), got.Encode()) {
		t.Error("the same backup has another content")
	}
}

// TestABackupThatIsNotWholeIsRefused: each cut, and each byte that differs.
func TestABackupThatIsNotWholeIsRefused(t *testing.T) {
	whole := sample().Encode()
	refused := func(what string, at int, data []byte) {
		t.Helper()
		if _, err := backup.Decode(data); !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%s %d: %v", what, at, err)
		}
	}
	for n := range len(whole) - 1 { // the last is the end of the line
		refused("cut to", n, whole[:n])
	}
	for i := range len(whole) - 1 {
		spoilt := bytes.Clone(whole)
		spoilt[i] ^= 1
		refused("another byte", i, spoilt)
	}
	refused("twice", 0, append(bytes.Clone(whole), whole...))
}
