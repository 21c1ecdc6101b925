package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/drover/drover/internal/demo"
	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/internal/workload/ledger"
)

// moveMegabytes is how much the database holds that is moved.
const moveMegabytes = 256

// benchMove moves a ledger under load, and compares the pause that its clients see with the
// floor: what the same ledger takes to stop and to serve again where it is.
func benchMove(ctx context.Context, o options) ([]result, error) {
	binary, err := droverBinary(ctx, o.dir)
	if err != nil {
		return nil, err
	}
	c := &localcluster.Cluster{Binary: binary, Dir: filepath.Join(o.dir, "cluster"), Nodes: 3}
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	defer c.Stop()
	d := &demo.Demo{Cluster: c, Database: ledger.Database{Binary: binary}, Moves: 2 * o.rounds, Clients: 8, Megabytes: moveMegabytes}
	report, err := d.Run(ctx)
	if err != nil {
		return nil, err
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	var pauses, final []float64
	for _, m := range report.Details {
		pauses = append(pauses, m.PauseMS)
		final = append(final, float64(m.BytesFinal)/1e6)
	}
	restarts, err := restartLedger(ctx, o, binary)
	if err != nil {
		return nil, err
	}
	size := []float64{moveMegabytes * 1.048576}
	return []result{
		compare("pause of a move, 256 MB ledger, median", "ms", pauses, "restart in place", restarts, goal{}),
		compare("pause of a move, 256 MB ledger, worst", "ms", []float64{report.LongestPauseMS}, "restart in place", restarts, goal{}),
		compare("bytes in the last round", "MB", final, "the volume", size, goal{}),
	}, nil
}

// restartLedger measures, on a volume of the same size, from the stop signal to the first
// connection that is served again.
func restartLedger(ctx context.Context, o options, binary string) ([]float64, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, address := filepath.Join(o.dir, "restart"), fmt.Sprintf("127.0.0.1:%d", port)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	start := func() (*exec.Cmd, error) {
		cmd := exec.CommandContext(ctx, binary, "ledger")
		cmd.Env = append(os.Environ(), "DROVER_ADDR=127.0.0.1", fmt.Sprintf("DROVER_PORT_%d=%d", ledger.Port, port), "DROVER_VOLUME="+dir)
		return cmd, cmd.Start()
	}
	running, err := start()
	if err != nil {
		return nil, err
	}
	defer func() { running.Process.Kill(); running.Wait() }()
	if err := waitForPort(ctx, address); err != nil {
		return nil, err
	}
	if err := (ledger.Database{}).Prepare(ctx, address, moveMegabytes, func(int64, int64) {}); err != nil {
		return nil, err
	}
	var took []float64
	for range 2 * o.rounds {
		began := time.Now()
		running.Process.Signal(syscall.SIGTERM)
		running.Wait()
		if running, err = start(); err != nil {
			return nil, err
		}
		for {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
				break
			}
			time.Sleep(time.Millisecond)
		}
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
	return took, nil
}

// droverBinary is DROVER_BINARY, or one that is built.
func droverBinary(ctx context.Context, dir string) (string, error) {
	if path := os.Getenv("DROVER_BINARY"); path != "" {
		return path, nil
	}
	path := filepath.Join(dir, "drover")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/drover").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build drover: %w\n%s", err, out)
	}
	return path, nil
}
