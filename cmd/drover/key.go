package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

func newKey(io_ stdio) *cobra.Command {
	c := &cobra.Command{Use: "key", Short: "Say who may read volumes by SFTP"}
	c.AddCommand(newKeyAdd(io_), newKeyLs(io_), newKeyRm(io_))
	return c
}

func newKeyAdd(io_ stdio) *cobra.Command {
	var connect connectOptions
	c := &cobra.Command{
		Use:   "add NAME FILE.pub",
		Short: "Let the holder of an SSH key list and pull snapshots",
		Long: `Let the holder of an SSH key list and pull the snapshots of every volume, with the sftp command of OpenSSH.
FILE.pub is the public half of an Ed25519 key; "ssh-keygen -t ed25519" makes one.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[1])
			if err != nil {
				return err
			}
			// Before it leaves this host: it may be the private half.
			key, err := cluster.ParseUserKey(string(text))
			if err != nil {
				return fmt.Errorf("%s: %w", args[1], err)
			}
			control, err := connect.client()
			if err != nil {
				return err
			}
			if err := control.AddKey(c.Context(), args[0], wire.KeyRequest{Key: key}); err != nil {
				return err
			}
			fmt.Fprintf(io_.out, "%s may read the volumes\n", args[0])
			return nil
		},
	}
	connect.addFlags(c.Flags())
	return c
}

func newKeyLs(io_ stdio) *cobra.Command {
	var connect connectOptions
	var output outputOptions
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the keys",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			control, err := connect.client()
			if err != nil {
				return err
			}
			keys, err := control.Keys(c.Context())
			if err != nil {
				return err
			}
			return output.print(io_.out, keys, func(w io.Writer) {
				table(w, "NAME\tADDED\tKEY", func(row func(...any)) {
					for _, k := range keys {
						row(k.Name, k.Added.Local().Format(time.DateTime), k.Key)
					}
				})
			})
		},
	}
	connect.addFlags(c.Flags())
	output.addFlags(c.Flags())
	return c
}

func newKeyRm(io_ stdio) *cobra.Command {
	var connect connectOptions
	c := &cobra.Command{
		Use:   "rm NAME",
		Short: "Shut the holder of a key out",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			control, err := connect.client()
			if err != nil {
				return err
			}
			if err := control.RemoveKey(c.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(io_.out, "%s may not read the volumes any more\n", args[0])
			return nil
		},
	}
	connect.addFlags(c.Flags())
	return c
}
