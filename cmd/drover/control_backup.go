package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control"
	"github.com/drover/drover/control/store/backup"
	"github.com/drover/drover/control/store/bolt"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/internal/pki"
)

type controlBackupOptions struct {
	stdio
	connectOptions
	file string
}

func newControlBackup(io_ stdio) *cobra.Command {
	o := controlBackupOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "backup FILE",
		Short: "Write all that the control service must not lose to a file, while it runs",
		Long: `Write all that the control service must not lose to a file, while it runs: configuration, ownership, moves,
routes, keys and events, as they were at one instant. The file is checked before it takes the place of FILE. It
holds the environment of all applications, and so passwords. The certificates are not in it.`,
	}, &o, runControlBackup, &o.file)
}

func runControlBackup(ctx context.Context, o controlBackupOptions) error {
	service, err := o.client()
	if err != nil {
		return err
	}
	defer service.Close()
	data, err := service.Backup(ctx)
	if err != nil {
		return err
	}
	b, err := control.CheckBackup(data)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(o.file, data, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%s: %s\n", o.file, describe(b))
	return nil
}

type controlRestoreOptions struct {
	stdio
	data, pki, file string
}

func (o *controlRestoreOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.data, "data", controlData, "`DIR`ectory of what the service must not lose")
	f.StringVar(&o.pki, "pki", controlPKI, "`DIR`ectory of the authority and the certificates")
}

func newControlRestore(io_ stdio) *cobra.Command {
	o := controlRestoreOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "restore FILE",
		Short: "Make the control service's store out of a backup",
		Long: `Make the control service's store out of a file that "drover control backup" wrote. The service must not run, and
must have no store: one that is there is never overwritten. A file that is damaged, or of another cluster, changes
nothing.`,
	}, &o, runControlRestore, &o.file)
}

func runControlRestore(_ context.Context, o controlRestoreOptions) error {
	data, err := os.ReadFile(o.file)
	if err != nil {
		return err
	}
	b, err := control.CheckBackup(data)
	if err != nil {
		return fmt.Errorf("restore %s: %w", o.file, err)
	}
	authority, err := pki.Open(o.pki)
	if err != nil {
		return cluster.WithHint(fmt.Errorf("restore %s: %w", o.file, err), "put the certificates of the cluster back first")
	}
	if id := authority.ClusterID(); id != b.Cluster {
		return fmt.Errorf("restore %s: %w: it is of cluster %s, and the certificates in %s are of %s", o.file, cluster.ErrConflict, b.Cluster, o.pki, id)
	}
	if err := durable.MkdirAll(o.data, 0o700); err != nil {
		return err
	}
	path := filepath.Join(o.data, storeName)
	err = bolt.Create(path, b.Records, b.Revision)
	if errors.Is(err, cluster.ErrExists) {
		err = cluster.WithHint(err, "end the service and move that file away")
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", o.file, err)
	}
	fmt.Fprintf(o.out, "%s: %s\n", path, describe(b))
	return nil
}

// describe says what is in a backup.
func describe(b backup.Backup) string {
	return fmt.Sprintf("revision %d of cluster %s, %s, taken %s", b.Revision, b.Cluster, cluster.Count(len(b.Records), "record"), b.Taken.Local().Format(time.DateTime))
}
