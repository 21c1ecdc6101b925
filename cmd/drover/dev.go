package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/internal/localcluster"
)

// localOptions are those of a cluster on this machine.
type localOptions struct {
	nodes            int
	data             string
	backend, runtime string
	listen           string
}

func (o *localOptions) addFlags(f *pflag.FlagSet) {
	f.IntVar(&o.nodes, "nodes", 3, "how many nodes")
	f.StringVar(&o.data, "data", "", "`DIR`ectory to keep everything in (default: a temporary one, removed at the end)")
	f.StringVar(&o.backend, "backend", "dir", "`BACKEND` that stores volumes: dir")
	f.StringVar(&o.runtime, "runtime", "process", "`RUNTIME` that runs applications: process")
}

// start starts the cluster and returns what ends it and removes what was temporary.
func (o *localOptions) start(ctx context.Context) (*localcluster.Cluster, func() error, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	remove := func() error { return nil }
	data := o.data
	if data == "" {
		if data, err = os.MkdirTemp("", "drover-"); err != nil {
			return nil, nil, err
		}
		remove = func() error { return os.RemoveAll(data) }
	}
	if data, err = filepath.Abs(data); err != nil {
		return nil, nil, err
	}
	c := &localcluster.Cluster{Binary: binary, Dir: data, Nodes: o.nodes, Network: o.listen, Backend: o.backend, Runtime: o.runtime}
	if err := c.Start(ctx); err != nil {
		return nil, nil, fmt.Errorf("start the cluster in %s: %w", data, err)
	}
	return c, func() error {
		if err := c.Stop(); err != nil {
			return err
		}
		return remove()
	}, nil
}

func newDev(io_ stdio) *cobra.Command {
	var o localOptions
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole cluster on this machine until Ctrl-C",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runDev(c.Context(), o, io_.out) },
	}
	o.addFlags(c.Flags())
	c.Flags().StringVar(&o.listen, "listen", "", "`NETWORK` of the cluster: the first three numbers of its addresses (default: a free one, 127.x.y)")
	return c
}

func runDev(ctx context.Context, o localOptions, w io.Writer) error {
	c, stop, err := o.start(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "A cluster of %d nodes is up.\n\n", c.Nodes)
	table(w, "NODE\tADDRESS\tLOG", func(row func(...any)) {
		row("control", c.ControlAddress(), filepath.Join(c.Dir, "control.log"))
		for _, name := range c.NodeNames() {
			row(name, c.Address(name), filepath.Join(c.Dir, name+".log"))
		}
	})
	fmt.Fprintf(w, `
In another shell:
  export DROVER_CONTROL=%s DROVER_PKI=%s
  %s status
  %s deploy examples/ledger/application.yml examples/ledger/deployment.yml

Ctrl-C ends it%s.
`, c.ControlAddress(), c.PKI(), c.Binary, c.Binary, map[bool]string{true: " and removes its data"}[o.data == ""])
	<-ctx.Done()
	fmt.Fprintln(w, "\nStopping.")
	return stop()
}
