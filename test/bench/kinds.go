package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/test/harness/loopfs"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/btrfs"
	"github.com/drover/drover/volume/dir"
	"github.com/drover/drover/volume/transfer"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// benchKinds ships 1 MB that has changed in a volume of 256 MB from btrfs, and from ZFS in a guest, to a plain
// directory, file by file, and beside it rsync over ssh does with the same cipher.
func benchKinds(ctx context.Context, o options) ([]result, error) {
	if err := loopfs.Available(); err != nil {
		return nil, err
	}
	server, err := startSSHD(ctx, filepath.Join(o.dir, "sshd-kinds"))
	if err != nil {
		return nil, err
	}
	defer server.stop()
	fs, err := loopfs.Btrfs(filepath.Join(o.dir, "btrfs-kinds"), 8<<30)
	if err != nil {
		return nil, err
	}
	defer fs.Remove()
	l := layout{"one file of 256 MB", 1}
	var full, delta, rsyncFull, rsyncDelta []float64
	for round := range o.rounds {
		scratch := filepath.Join(o.dir, fmt.Sprint("kinds-", round))
		a, b, err := copyToDir(ctx, filepath.Join(fs.Path, fmt.Sprint("volumes-", round)), scratch, l)
		if err != nil {
			return nil, fmt.Errorf("ours: %w", err)
		}
		c, d, err := copyRsync(ctx, filepath.Join(scratch, "rsync"), l, server)
		if err != nil {
			return nil, fmt.Errorf("rsync: %w", err)
		}
		full, delta, rsyncFull, rsyncDelta = append(full, benchMegabytes/a), append(delta, b*1000), append(rsyncFull, benchMegabytes/c), append(rsyncDelta, d*1000)
		if err := os.RemoveAll(scratch); err != nil {
			return nil, err
		}
	}
	inGuest, err := measureInGuest(ctx, o)
	return append(inGuest,
		compare("btrfs to dir full copy, "+l.name, "MB/s", full, "rsync over ssh", rsyncFull, goal{}),
		compare("btrfs to dir delta of 1 MB, "+l.name, "ms", delta, "rsync over ssh", rsyncDelta, goal{atMost: 0.4}),
	), err
}

// copyToDir returns the seconds of a full copy from btrfs to a directory, and of a delta.
func copyToDir(ctx context.Context, root, scratch string, l layout) (full, delta float64, err error) {
	source, err := btrfs.Open(root, btrfs.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer source.Shut()
	return copyFiles(ctx, source, scratch, l, false)
}

// copyFiles does it from any backend. Where all is emulated, nobody waits for the full copy to be encrypted.
func copyFiles(ctx context.Context, source volume.Backend, scratch string, l layout, emulated bool) (full, delta float64, err error) {
	target, err := dir.Open(filepath.Join(scratch, "target"), dir.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer target.Shut()
	session, stop, err := connect(ctx, scratch, target)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	id := cluster.VolumeID(cluster.NewUUID())
	if err := source.Create(ctx, id, volume.Options{}); err != nil {
		return 0, 0, err
	}
	path, err := source.Open(ctx, id, 1, "")
	if err != nil {
		return 0, 0, err
	}
	if err := writeFiles(path, l); err != nil {
		return 0, 0, err
	}
	ship := func(over transfer.Session, from, to cluster.SnapshotName) (float64, error) {
		began := time.Now()
		if _, err := source.Snapshot(ctx, id, to, false); err != nil {
			return 0, err
		}
		_, err := over.Send(ctx, volume.Delta{Volume: id, From: from, To: to, Files: true}, source, transfer.Options{})
		return time.Since(began).Seconds(), err
	}
	over := session
	if emulated {
		direct := &transfermem.Transport{Nodes: map[cluster.NodeID]volume.Backend{"peer": target}}
		if over, err = direct.Dial(ctx, cluster.Node{ID: "peer"}); err != nil {
			return 0, 0, err
		}
	}
	if full, err = ship(over, "", "full"); err != nil {
		return 0, 0, err
	}
	if err := changeFiles(path, l); err != nil {
		return 0, 0, err
	}
	delta, err = ship(session, "full", "delta")
	return full, delta, err
}
