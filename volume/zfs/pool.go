package zfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/drover/drover/cluster"
)

// kstat is where the kernel module tells of each pool that is imported. Reading it never waits, not
// even for a pool that is suspended.
const kstat = "/proc/spl/kstat/zfs"

const healthy = "ONLINE"

// pool is the name of the pool that the root is in.
func (b *Backend) pool() string {
	pool, _, _ := strings.Cut(b.root, "/")
	return pool
}

// poolHealth is the state of a pool, ONLINE or a sentence; empty if there is no such pool here.
func poolHealth(pool string) string {
	state, err := os.ReadFile(filepath.Join(kstat, pool, "state"))
	if err != nil {
		return ""
	}
	if text := strings.TrimSpace(string(state)); text != healthy {
		return fmt.Sprintf("pool %s is %s", pool, text)
	}
	return healthy
}

// unavailable says why the pool cannot be worked with, or returns nil. A pool that is degraded can.
func unavailable(pool string) error {
	switch health := poolHealth(pool); {
	case health == "":
		if _, err := os.Stat(kstat); err != nil {
			return cluster.WithHint(fmt.Errorf("%w: the zfs module is not loaded", cluster.ErrUnavailable), "modprobe zfs")
		}
		return cluster.WithHint(fmt.Errorf("%w: pool %s is not imported", cluster.ErrUnavailable, pool), "zpool import "+pool)
	case strings.HasSuffix(health, "SUSPENDED"):
		return cluster.WithHint(fmt.Errorf("%w: %s: it waits for its devices, and so does everybody who writes", cluster.ErrUnavailable, health),
			"bring the devices back, then zpool clear "+pool)
	case strings.HasSuffix(health, "FAULTED"), strings.HasSuffix(health, "UNAVAIL"):
		return cluster.WithHint(fmt.Errorf("%w: %s", cluster.ErrUnavailable, health), "zpool status "+pool)
	}
	return nil
}

// ready reports whether the pool can be worked with, and makes the root when it is there for the
// first time.
func (b *Backend) ready(ctx context.Context) error {
	if err := unavailable(b.pool()); err != nil {
		return err
	}
	if b.features() != nil {
		return nil
	}
	f, err := probe(ctx, b.pool())
	if err != nil {
		return err
	}
	if err := b.makeContainers(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probed = f
	return nil
}

func (b *Backend) features() *features {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.probed
}

// makeContainers makes the root and the trash, if they are not there.
func (b *Backend) makeContainers(ctx context.Context) error {
	for _, name := range []string{b.root, b.trash()} {
		if err := makeContainer(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// makeContainer makes a dataset that holds others and no files, if it is not there.
func makeContainer(ctx context.Context, name string) error {
	err := zfs(ctx, "create", "-o", "canmount=off", "-o", "mountpoint=none", name)
	if errors.Is(err, cluster.ErrExists) {
		return nil
	}
	return err
}
