package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

func newKey(io_ stdio) *cobra.Command {
	return group(&cobra.Command{Use: "key", Short: "Say who may read volumes by SFTP"}, newKeyAdd(io_), newKeyLs(io_), newKeyRm(io_))
}

type keyAddOptions struct {
	stdio
	connectOptions
	name, file string
}

func newKeyAdd(io_ stdio) *cobra.Command {
	o := keyAddOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "add NAME FILE.pub",
		Short: "Let the holder of an SSH key list and pull snapshots",
		Long: `Let the holder of an SSH key list and pull the snapshots of every volume, with the sftp command of OpenSSH.
FILE.pub is the public half of an Ed25519 key; "ssh-keygen -t ed25519" makes one.`,
	}, &o, runKeyAdd, &o.name, &o.file)
}

func runKeyAdd(ctx context.Context, o keyAddOptions) error {
	text, err := os.ReadFile(o.file)
	if err != nil {
		return err
	}
	// Before it leaves this host: it may be the private half.
	key, err := cluster.ParseUserKey(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", o.file, err)
	}
	control, err := o.client()
	if err != nil {
		return err
	}
	if err := control.AddKey(ctx, o.name, wire.KeyRequest{Key: key}); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%s may read the volumes\n", o.name)
	return nil
}

type keyLsOptions struct{ remoteOptions }

func newKeyLs(io_ stdio) *cobra.Command {
	o := keyLsOptions{remoteOptions{stdio: io_}}
	return command(&cobra.Command{Use: "ls", Short: "List the keys"}, &o, runKeyLs)
}

func runKeyLs(ctx context.Context, o keyLsOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	keys, err := control.Keys(ctx)
	if err != nil {
		return err
	}
	return o.print(o.out, keys, func(w io.Writer) {
		table(w, "NAME\tADDED\tKEY", func(row func(...any)) {
			for _, k := range keys {
				row(k.Name, k.Added.Local().Format(time.DateTime), k.Key)
			}
		})
	})
}

type keyRmOptions struct {
	stdio
	connectOptions
	name string
}

func newKeyRm(io_ stdio) *cobra.Command {
	o := keyRmOptions{stdio: io_}
	return command(&cobra.Command{Use: "rm NAME", Short: "Shut the holder of a key out"}, &o, runKeyRm, &o.name)
}

func runKeyRm(ctx context.Context, o keyRmOptions) error {
	control, err := o.client()
	if err != nil {
		return err
	}
	if err := control.RemoveKey(ctx, o.name); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%s may not read the volumes any more\n", o.name)
	return nil
}
