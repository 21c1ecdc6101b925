package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/drover/drover/internal/workload/postgres"
)

// fill writes that many megabytes of random files and syncs them.
func fill(dir string, megabytes int) error {
	const each = 64
	for n := 0; n*each < megabytes; n++ {
		if err := writeRandom(filepath.Join(dir, fmt.Sprint("fill", n)), min(each, megabytes)); err != nil {
			return err
		}
	}
	return exec.Command("sync", "-f", dir).Run()
}

// writeRandom replaces a file by that many megabytes that do not compress.
func writeRandom(path string, megabytes int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	random := rand.NewChaCha8([32]byte{byte(rand.Uint32())})
	block := make([]byte, 1<<20)
	for range megabytes {
		random.Read(block)
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	return f.Close()
}

// prepareBench makes the tables of the probe and of pgbench: some 580 MB in all.
func prepareBench(ctx context.Context, db postgres.Database, address string) error {
	if err := db.Prepare(ctx, address, 64, func(int64, int64) {}); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "pgbench", "-h", host, "-p", port, "-U", "bank", "-i", "-s", "30", "-q", "postgres").CombinedOutput()
	if err != nil {
		return fmt.Errorf("pgbench -i: %w: %s", err, out)
	}
	return nil
}

// pgbench runs transactions at 400 a second until the function that it returns is called, again
// whenever it ends because its connections broke.
func pgbench(ctx context.Context, address string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	host, port, _ := net.SplitHostPort(address)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, "pgbench", "-h", host, "-p", port, "-U", "bank", "-n", "-c", "4", "-j", "1", "-R", "400", "-T", "600", "postgres")
			_ = cmd.Run() // a break of its connections is no failure
		}
	}()
	return func() { cancel(); <-done }
}
