package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// transferBytes is how much goes through in one measurement.
const transferBytes = 1 << 30

// benchTransfer sends zeros from memory to nowhere: by our transport, verified end to end, and
// through a pipe of OpenSSH with the same cipher.
func benchTransfer(ctx context.Context, o options) ([]result, error) {
	server, err := startSSHD(ctx, filepath.Join(o.dir, "sshd-transfer"))
	if err != nil {
		return nil, err
	}
	defer server.stop()
	session, stop, err := connect(ctx, o.dir, sink{})
	if err != nil {
		return nil, err
	}
	defer stop()
	var ours, theirs []float64
	for range o.rounds {
		began := time.Now()
		d := volume.Delta{Volume: cluster.VolumeID(cluster.NewUUID()), To: "bench"}
		if _, err := session.Send(ctx, d, zeros{}, transfer.Options{}); err != nil {
			return nil, err
		}
		ours = append(ours, transferBytes/1e6/time.Since(began).Seconds())
		seconds, err := pipeSSH(ctx, server)
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, transferBytes/1e6/seconds)
	}
	return []result{compare("transfer", "MB/s", ours, "OpenSSH aes128-gcm pipe", theirs, goal{atLeast: 1.25})}, nil
}

func pipeSSH(ctx context.Context, server *sshd) (float64, error) {
	command := append(server.command(), "cat > /dev/null")
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	if err := writeZeros(in); err != nil {
		return 0, err
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("ssh: %w: %s", err, stderr.Bytes())
	}
	return time.Since(began).Seconds(), nil
}

func writeZeros(w io.Writer) error {
	block := make([]byte, 256<<10)
	for n := 0; n < transferBytes; n += len(block) {
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
	return nil
}

// zeros is a source that costs nothing.
type zeros struct{}

func (zeros) Send(_ context.Context, _ volume.Delta, w io.Writer) error { return writeZeros(w) }

// sink is a backend that takes everything and keeps nothing.
type sink struct{ volume.Backend }

func (sink) Copies(context.Context) ([]volume.Copy, error) { return nil, nil }

func (sink) Receive(_ context.Context, _ volume.Delta, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
