package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/test/harness/loopfs"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/btrfs"
	"github.com/drover/drover/volume/transfer"
)

// copyMegabytes is how much a full copy ships.
const copyMegabytes = 1024

// benchBtrfs ships a full copy between two file systems by our transport, verified and synced, and
// beside it through a pipe on this machine.
func benchBtrfs(ctx context.Context, o options) ([]result, error) {
	if err := loopfs.Available(); err != nil {
		return nil, err
	}
	var backends []*btrfs.Backend
	var paths []string
	for _, name := range []string{"from", "to"} {
		fs, err := loopfs.Btrfs(filepath.Join(o.dir, "btrfs-"+name), 16<<30)
		if err != nil {
			return nil, err
		}
		defer fs.Remove()
		b, err := btrfs.Open(filepath.Join(fs.Path, "volumes"), btrfs.Options{})
		if err != nil {
			return nil, err
		}
		defer b.Shut()
		backends, paths = append(backends, b), append(paths, fs.Path)
	}
	from, to := backends[0], backends[1]
	id := cluster.VolumeID(cluster.NewUUID())
	if err := from.Create(ctx, id, volume.Options{}); err != nil {
		return nil, err
	}
	if err := fill(from.Path(id), copyMegabytes); err != nil {
		return nil, err
	}
	if _, err := from.Snapshot(ctx, id, "s", false); err != nil {
		return nil, err
	}
	session, stop, err := connect(ctx, o.dir, to)
	if err != nil {
		return nil, err
	}
	defer stop()
	snapshot := filepath.Join(filepath.Dir(from.Path(id)), "@s")
	var ours, theirs []float64
	for range o.rounds {
		began := time.Now()
		if _, err := session.Send(ctx, volume.Delta{Volume: id, To: "s"}, from, transfer.Options{}); err != nil {
			return nil, err
		}
		ours = append(ours, copyMegabytes*1.048576/time.Since(began).Seconds())
		if err := to.Remove(ctx, id); err != nil {
			return nil, err
		}
		if err := to.Purge(ctx, time.Now()); err != nil {
			return nil, err
		}
		began = time.Now()
		pipe := fmt.Sprintf("set -o pipefail; btrfs -q send %s | btrfs -q receive %s && sync -f %s", snapshot, paths[1], paths[1])
		if out, err := exec.CommandContext(ctx, "bash", "-c", pipe).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", pipe, err, out)
		}
		theirs = append(theirs, copyMegabytes*1.048576/time.Since(began).Seconds())
		if out, err := exec.CommandContext(ctx, "bash", "-c", fmt.Sprintf("btrfs -q subvolume delete %s/@s; btrfs filesystem sync %s; btrfs subvolume sync %s", paths[1], paths[1], paths[1])).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("clean up: %w: %s", err, out)
		}
	}
	return []result{compare("btrfs full copy, remote", "MB/s", ours, "btrfs send | receive, local", theirs, goal{atLeast: 0.9})}, nil
}
