package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/drover/drover/test/harness/loopfs"
	"github.com/drover/drover/test/harness/vm"
	"github.com/drover/drover/volume/zfs"
)

// guestProcess runs this program in a guest, for what needs ZFS in the kernel.
const guestProcess = "measure-zfs"

// measureInGuest measures what guestResults does, in a guest. All of it is emulated, ours and what is
// beside it: only the ratio says anything.
func measureInGuest(ctx context.Context, o options) ([]result, error) {
	if err := vm.Available(); err != nil {
		fmt.Fprintln(os.Stderr, "NOT MEASURED: zfs to dir:", err)
		return nil, nil
	}
	dir := filepath.Join(o.dir, "guest")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	program := filepath.Join(o.dir, "bench")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/drover/drover/test/bench")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build what runs in a guest: %w: %s", err, out)
	}
	var said bytes.Buffer
	p := vm.Program{Path: program, Args: []string{guestProcess, strconv.Itoa(o.rounds)}, Dir: dir, Programs: []string{"/usr/sbin/sshd"},
		Stdout: &said, Stderr: os.Stderr}
	status, err := p.Run(ctx)
	if err == nil && status != 0 {
		err = fmt.Errorf("in a guest: exit status %d", status)
	}
	var results []result
	if err == nil {
		err = json.Unmarshal(said.Bytes(), &results)
	}
	return results, err
}

// inGuest is that program.
func inGuest(args []string) int {
	rounds, err := strconv.Atoi(args[0])
	var results []result
	if err == nil {
		results, err = guestResults(context.Background(), options{rounds: rounds, dir: os.TempDir()})
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// guestResults ships what has changed in a volume from ZFS to a plain directory, and beside it rsync does
// from a dataset to the same file system.
func guestResults(ctx context.Context, o options) ([]result, error) {
	server, err := startSSHD(ctx, filepath.Join(o.dir, "sshd"))
	if err != nil {
		return nil, err
	}
	defer server.stop()
	l := layout{"one file of 256 MB", 1}
	var ours, theirs []float64
	for round := range o.rounds {
		a, b, err := guestRound(ctx, filepath.Join(o.dir, fmt.Sprint("round-", round)), l, server)
		if err != nil {
			return nil, err
		}
		ours, theirs = append(ours, a*1000), append(theirs, b*1000)
	}
	return []result{compare("zfs to dir delta of 1 MB, "+l.name+", emulated", "ms", ours, "rsync over ssh", theirs, goal{atMost: 0.4})}, nil
}

// guestRound has a pool and a file system of its own, and returns the seconds of both deltas.
func guestRound(ctx context.Context, scratch string, l layout, server *sshd) (ours, theirs float64, err error) {
	fs, err := loopfs.Make(filepath.Join(scratch, "target"), "ext4", 768<<20)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, fs.Remove(), os.RemoveAll(scratch)) }()
	disk, mounts := filepath.Join(scratch, "disk"), filepath.Join(scratch, "beside")
	if err := errors.Join(os.WriteFile(disk, nil, 0o600), os.Truncate(disk, 768<<20)); err != nil {
		return 0, 0, err
	}
	if out, err := exec.CommandContext(ctx, "zpool", "create", "-O", "mountpoint="+mounts, "bench", disk).CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("make a pool: %w: %s", err, out)
	}
	defer func() { err = errors.Join(err, exec.Command("zpool", "destroy", "-f", "bench").Run()) }()
	source, err := zfs.Open("bench/drover", zfs.Options{Dir: filepath.Join(scratch, "zfs")})
	if err != nil {
		return 0, 0, err
	}
	defer source.Shut()
	if _, ours, err = copyFiles(ctx, source, filepath.Join(fs.Path, "ours"), l, true); err != nil {
		return 0, 0, fmt.Errorf("ours: %w", err)
	}
	if _, theirs, err = copyBetween(ctx, filepath.Join(mounts, "rsync"), filepath.Join(fs.Path, "rsync"), l, server, true); err != nil {
		return 0, 0, fmt.Errorf("rsync: %w", err)
	}
	return ours, theirs, nil
}
