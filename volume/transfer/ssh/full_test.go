package ssh

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/test/harness/loopfs"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/btrfs"
	"github.com/drover/drover/volume/dir"
	"github.com/drover/drover/volume/transfer"
)

// A counted source knows how often it was asked.
type counted struct {
	transfer.Source
	times int
}

func (c *counted) Send(ctx context.Context, d volume.Delta, w io.Writer) error {
	c.times++
	return c.Source.Send(ctx, d, w)
}

// TestAFullTargetIsAskedOnce by every backend: no space does not come by itself, and what is shipped
// again and again is shipped for nothing.
func TestAFullTargetIsAskedOnce(t *testing.T) {
	if err := loopfs.Available(); err != nil {
		t.Skipf("CANNOT RUN: file systems on loop devices: %v", err)
	}
	disk := func(kind string, bytes int64) string {
		fs, err := loopfs.Make(t.TempDir(), kind, bytes)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { fs.Remove() })
		return filepath.Join(fs.Path, "v")
	}
	type shut interface{ Shut() error }
	for kind, open := range map[string]func(path string) (volume.Backend, error){
		"btrfs": func(path string) (volume.Backend, error) { return btrfs.Open(path, btrfs.Options{}) },
		"ext4":  func(path string) (volume.Backend, error) { return dir.Open(path, dir.Options{}) },
	} {
		t.Run(kind, func(t *testing.T) {
			var both []volume.Backend
			for _, size := range []int64{512 << 20, 128 << 20} {
				b, err := open(disk(kind, size))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { b.(shut).Shut() })
				both = append(both, b)
			}
			d := newDelta()
			content := make([]byte, 200<<20)
			rand.Read(content)
			err := both[0].Create(t.Context(), d.Volume, volume.Options{})
			if err == nil {
				_, err = both[0].Open(t.Context(), d.Volume, 1, "")
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(both[0].Path(d.Volume), "large"), content, 0o600)
			}
			if err == nil {
				_, err = both[0].Snapshot(t.Context(), d.Volume, d.To, false)
			}
			if err != nil {
				t.Fatal(err)
			}
			from := &counted{Source: both[0]}
			if err = send(t, serve(t, both[1]), from, d); !cluster.Lasting(err) || from.times != 1 {
				t.Errorf("got %v after %d times, want no space after one", err, from.times)
			}
		})
	}
}
