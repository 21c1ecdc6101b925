package btrfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/copystore"
)

// TestAnotherSubvolumeIsNoVolume: the inode of each is 256, and still one is not the other.
func TestAnotherSubvolumeIsNoVolume(t *testing.T) {
	for name, spoil := range map[string]func(data string) error{
		"emptied": func(data string) error { return os.Remove(filepath.Join(data, "base")) },
		"another subvolume": func(data string) error {
			return errors.Join(deleteSubvolume(data), createSubvolume(data), os.WriteFile(filepath.Join(data, "x"), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, id := filepath.Join(fileSystem(t, 512<<20), "volumes"), cluster.VolumeID(cluster.NewUUID())
			b := openAt(t, root)
			err := b.Create(t.Context(), id, volume.Options{})
			if err != nil {
				t.Fatal(err)
			}
			path, err := b.Open(t.Context(), id, 1, "")
			if err := errors.Join(err, os.WriteFile(filepath.Join(path, "base"), nil, 0o600), b.Close(t.Context(), id), b.Shut(), spoil(path)); err != nil {
				t.Fatal(err)
			}
			b = openAt(t, root)
			if _, err := b.Open(t.Context(), id, 1, ""); !errors.Is(err, copystore.ErrBroken) || !strings.Contains(err.Error(), "it held base") {
				t.Errorf("got %v, want what it held", err)
			}
		})
	}
}

// TestABrokenReplicaGivesWay to a full stream, with the same backend running all the time.
func TestABrokenReplicaGivesWay(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	a, b := p.a, openAt(t, filepath.Join(fileSystem(t, 1<<30), "v"))
	p.write(a, "file", []byte("content"))
	p.ship(a, b, "", "one")
	p.must(os.Truncate(filepath.Join(b.path, string(p.id), "copy.json"), 30))
	p.ship(a, b, "", "two")
	if held, err := volume.Find(t.Context(), b, p.id); err != nil || held.Warning != "" || len(held.Snapshots) != 1 {
		t.Errorf("it is %+v, %v", held, err)
	}
	if kept, _ := filepath.Glob(filepath.Join(b.path, "trash", string(p.id)+".broken@*")); len(kept) != 1 {
		t.Errorf("kept: %v", kept)
	}
}
