package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
	"github.com/drover/drover/volume/transfer"
	"github.com/drover/drover/volume/transfer/ssh"
)

// benchMegabytes is the size of the volume that is copied.
const benchMegabytes = 256

// A layout is how the bytes of a volume are spread over files.
type layout struct {
	name  string
	files int
}

// benchDir copies a volume of 256 MB, whole and then again after 1 MB of it has changed, by our
// transfer and by rsync over ssh with the same cipher. Ours syncs the copy to disk and verifies
// it; rsync does neither.
func benchDir(ctx context.Context, o options) ([]result, error) {
	server, err := startSSHD(ctx, filepath.Join(o.dir, "sshd-dir"))
	if err != nil {
		return nil, err
	}
	defer server.stop()
	var results []result
	for _, l := range []layout{{"256 files of 1 MB", 256}, {"one file of 256 MB", 1}} {
		var full, delta, rsyncFull, rsyncDelta []float64
		for round := range o.rounds {
			scratch := filepath.Join(o.dir, fmt.Sprintf("dir-%d-%d", l.files, round))
			a, b, err := copyOurs(ctx, filepath.Join(scratch, "ours"), l)
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
		results = append(results,
			compare("dir full copy, "+l.name, "MB/s", full, "rsync over ssh", rsyncFull, goal{atLeast: 1.5}),
			compare("dir delta of 1 MB, "+l.name, "ms", delta, "rsync over ssh", rsyncDelta, goal{atMost: 0.4}))
	}
	return results, nil
}

// copyOurs returns the seconds of a full copy and of a delta.
func copyOurs(ctx context.Context, scratch string, l layout) (full, delta float64, err error) {
	source, err := dir.Open(filepath.Join(scratch, "a"), dir.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer source.Shut()
	target, err := dir.Open(filepath.Join(scratch, "b"), dir.Options{})
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
	ship := func(from, to cluster.SnapshotName) (float64, error) {
		began := time.Now()
		if _, err := source.Snapshot(ctx, id, to, false); err != nil {
			return 0, err
		}
		_, err := session.Send(ctx, volume.Delta{Volume: id, From: from, To: to}, source, transfer.Options{})
		return time.Since(began).Seconds(), err
	}
	if full, err = ship("", "full"); err != nil {
		return 0, 0, err
	}
	// Time stamps as young as the scan are not trusted; a round later they would be.
	time.Sleep(50 * time.Millisecond)
	if _, err = ship("full", "settled"); err != nil {
		return 0, 0, err
	}
	if err := changeFiles(path, l); err != nil {
		return 0, 0, err
	}
	delta, err = ship("settled", "delta")
	return full, delta, err
}

// connect serves a backend on loopback and opens a session to it.
func connect(ctx context.Context, scratch string, target volume.Backend) (transfer.Session, func(), error) {
	key, err := ssh.LoadOrCreateKey(filepath.Join(scratch, "key"))
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	server := &ssh.Server{Key: key, Backend: target, Log: slog.New(slog.DiscardHandler),
		Peers:  func(string) (cluster.NodeID, bool) { return "peer", true },
		Permit: func(_ cluster.NodeID, d volume.Delta) (volume.Delta, error) { return d, nil }}
	go server.Serve(ctx, listener)
	transport := &ssh.Transport{Key: key}
	session, err := transport.Dial(ctx, cluster.Node{Name: "peer", TransferAddress: listener.Addr().String(), TransferKey: ssh.PublicKey(key)})
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return session, func() { session.Close(); cancel() }, nil
}

// copyRsync does the same with rsync.
func copyRsync(ctx context.Context, scratch string, l layout, server *sshd) (full, delta float64, err error) {
	return copyBetween(ctx, filepath.Join(scratch, "a"), filepath.Join(scratch, "b"), l, server, false)
}

// copyBetween does it between two directories. Where all is emulated, the full copy does not go over ssh.
func copyBetween(ctx context.Context, from, to string, l layout, server *sshd, emulated bool) (full, delta float64, err error) {
	for _, path := range []string{from, to} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return 0, 0, err
		}
	}
	if err := writeFiles(from, l); err != nil {
		return 0, 0, err
	}
	overSSH := []string{"-e", strings.Join(server.command()[:3], " "), from + "/", "peer:" + to + "/"}
	ship := func(way []string) (float64, error) {
		began := time.Now()
		out, err := exec.CommandContext(ctx, "rsync", append([]string{"-a", "--inplace", "--no-whole-file"}, way...)...).CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("%w: %s", err, out)
		}
		return time.Since(began).Seconds(), nil
	}
	first := overSSH
	if emulated {
		first = []string{from + "/", to + "/"}
	}
	if full, err = ship(first); err != nil {
		return 0, 0, err
	}
	// rsync compares times by the second.
	time.Sleep(1100 * time.Millisecond)
	if err := changeFiles(from, l); err != nil {
		return 0, 0, err
	}
	delta, err = ship(overSSH)
	return full, delta, err
}

// writeFiles writes the volume, with bytes that do not compress, and back to the disk: what is measured is
// a copy of what is there, and not the end of its making.
func writeFiles(path string, l layout) error {
	source := rand.NewChaCha8([32]byte{1})
	block := make([]byte, 1<<20)
	for i := range l.files {
		f, err := os.Create(filepath.Join(path, fmt.Sprintf("file-%03d", i)))
		if err != nil {
			return err
		}
		for range benchMegabytes / l.files {
			source.Read(block)
			if _, err := f.Write(block); err != nil {
				return err
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return exec.Command("sync", "-f", path).Run()
}

// changeFiles writes 1 MB: 16 stretches of 64 KiB, spread over the volume.
func changeFiles(path string, l layout) error {
	source := rand.NewChaCha8([32]byte{2})
	block := make([]byte, 64<<10)
	for i := range 16 {
		source.Read(block)
		at := int64(i) * benchMegabytes / 16 << 20
		perFile := int64(benchMegabytes/l.files) << 20
		f, err := os.OpenFile(filepath.Join(path, fmt.Sprintf("file-%03d", at/perFile)), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(block, at%perFile)
		if err := f.Close(); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
	return nil
}
