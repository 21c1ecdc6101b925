package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
)

// scaleProcess is the first argument of this program where it is one side of a transfer, so that what
// it takes of memory is that side's alone.
const scaleProcess = "one-side-of-a-transfer"

// A scale is a volume that is large in one way.
type scale struct {
	name string
	fill func(root string) error
	// unchanged is how long a round should take in which nothing has changed, and memory how much each
	// side should take up at most.
	unchanged time.Duration
	memory    int64
}

var scales = []scale{
	{"1 TB sparse with 1 MiB of data", fillSparse, 2 * time.Second, 64 << 20},
	{"a million files of 1 KiB", func(root string) error { return fillMany(root, 1_000_000, 1<<10, 0) }, 3 * time.Second, 256 << 20},
	{"100,000 files with 5 attributes", func(root string) error { return fillMany(root, 100_000, 0, 5) }, 0, 256 << 20},
}

// benchScale ships volumes of plain directories that are large in one way: in full, and again and again
// with nothing changed. The two sides are processes of their own.
func benchScale(ctx context.Context, o options) ([]result, error) {
	var results []result
	for _, s := range scales {
		more, err := s.measure(ctx, filepath.Join(o.dir, "scale"), o.rounds)
		if err := errors.Join(err, os.RemoveAll(filepath.Join(o.dir, "scale"))); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		results = append(results, more...)
	}
	return results, nil
}

func (s scale) measure(ctx context.Context, at string, rounds int) ([]result, error) {
	t := &twoSides{from: filepath.Join(at, "from"), to: filepath.Join(at, "to"), id: cluster.NewUUID()}
	b, err := dir.Open(t.from, dir.Options{})
	if err != nil {
		return nil, err
	}
	err = b.Create(ctx, cluster.VolumeID(t.id), volume.Options{})
	if err == nil {
		_, err = b.Open(ctx, cluster.VolumeID(t.id), 1, "")
	}
	if err == nil {
		err = s.fill(b.Path(cluster.VolumeID(t.id)))
	}
	if err := errors.Join(err, b.Shut()); err != nil {
		return nil, err
	}
	full, err := t.round(ctx)
	if err != nil {
		return nil, err
	}
	// Stamps as young as the first look are not trusted; a round later they are.
	if _, err := t.round(ctx); err != nil {
		return nil, err
	}
	var unchanged []float64
	for range rounds {
		took, err := t.round(ctx)
		if err != nil {
			return nil, err
		}
		unchanged = append(unchanged, took)
	}
	most := func(name, unit string, values []float64, limit float64) result {
		if limit == 0 {
			return result{Name: s.name + ", " + name, Value: median(values), Unit: unit, Against: "nothing"}
		}
		return compare(s.name+", "+name, unit, values, "the goal", []float64{limit}, goal{atMost: 1})
	}
	memory := float64(s.memory >> 20)
	return []result{
		most("in full", "s", []float64{full}, 0),
		most("a round without change", "s", unchanged, s.unchanged.Seconds()),
		most("memory of the sender", "MiB", []float64{t.sender}, memory),
		most("memory of the receiver", "MiB", []float64{t.receiver}, memory),
	}, nil
}

// twoSides are a sender and a receiver of one volume.
type twoSides struct {
	from, to, id string
	rounds       int
	// sender and receiver are the most memory that each has taken up, in MiB.
	sender, receiver float64
}

// round ships the volume once more and returns the seconds that it took.
func (t *twoSides) round(ctx context.Context) (float64, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	last, next := "", fmt.Sprint("s", t.rounds+1)
	if t.rounds > 0 {
		last = fmt.Sprint("s", t.rounds)
	}
	side := func(what, root string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "/proc/self/exe", scaleProcess, what, root, t.id, last, next)
		cmd.Stderr = os.Stderr
		return cmd
	}
	send, receive := side("send", t.from), side("receive", t.to)
	send.Stdout, receive.Stdin = w, r
	began := time.Now()
	err = errors.Join(send.Start(), receive.Start())
	err = errors.Join(err, r.Close(), w.Close())
	if err != nil {
		return 0, err
	}
	if err := errors.Join(send.Wait(), receive.Wait()); err != nil {
		return 0, err
	}
	t.rounds++
	took := time.Since(began).Seconds()
	sender, err := readPeak(t.from + peakSuffix)
	receiver, err2 := readPeak(t.to + peakSuffix)
	t.sender, t.receiver = max(t.sender, sender), max(t.receiver, receiver)
	return took, errors.Join(err, err2)
}

// peakSuffix ends the name of the file in which a side says how much memory it has taken up at most, in
// KiB: what the system says of an ended process counts what its parent had when it was started.
const peakSuffix = ".peak"

var peak = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// writePeak writes such a file.
func writePeak(path string) error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	found := peak.FindSubmatch(status)
	if found == nil {
		return errors.New("the system does not say how much memory this process has taken up")
	}
	return os.WriteFile(path, found[1], 0o600)
}

// readPeak reads one, in MiB.
func readPeak(path string) (float64, error) {
	said, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	kib, err := strconv.ParseFloat(string(said), 64)
	return kib / 1024, err
}

// oneSide is what a process of its own does, by its arguments.
func oneSide(args []string) int {
	ctx := context.Background()
	what, root, d := args[0], args[1], volume.Delta{Volume: cluster.VolumeID(args[2]), From: cluster.SnapshotName(args[3]), To: cluster.SnapshotName(args[4])}
	b, err := dir.Open(root, dir.Options{})
	switch {
	case err != nil:
	case what == "receive":
		err = b.Receive(ctx, d, os.Stdin)
	default:
		if _, err = b.Snapshot(ctx, d.Volume, d.To, false); err == nil {
			err = b.Send(ctx, d, os.Stdout)
		}
	}
	if err := errors.Join(err, writePeak(root+peakSuffix)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// fillSparse makes a file of 1 TB with 16 pieces of 64 KiB.
func fillSparse(root string) error {
	f, err := os.Create(filepath.Join(root, "sparse"))
	if err != nil {
		return err
	}
	defer f.Close()
	const size, piece = 1 << 40, 64 << 10
	if err := f.Truncate(size); err != nil {
		return err
	}
	data := make([]byte, piece)
	for n := range 16 {
		for i := range data {
			data[i] = byte(i*7 + n + 1)
		}
		if _, err := f.WriteAt(data, int64(n)*(size/16)); err != nil {
			return err
		}
	}
	return nil
}

// fillMany makes files in directories of a thousand.
func fillMany(root string, files, bytes, attributes int) error {
	data := make([]byte, bytes)
	for n := range files {
		parent := filepath.Join(root, fmt.Sprintf("%04d", n/1000))
		if n%1000 == 0 {
			if err := os.Mkdir(parent, 0o755); err != nil {
				return err
			}
		}
		for i := range data {
			data[i] = byte(n >> (i % 24))
		}
		path := filepath.Join(parent, fmt.Sprintf("file-%06d", n))
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
		for a := range attributes {
			if err := unix.Setxattr(path, fmt.Sprint("user.attribute-", a), fmt.Appendf(nil, "value %d of %d", a, n), 0); err != nil {
				return err
			}
		}
	}
	return nil
}
