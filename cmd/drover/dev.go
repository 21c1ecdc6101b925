package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/localcluster"
)

// localOptions are those of a cluster on this machine.
type localOptions struct {
	stdio
	nodes            int
	data             string
	backend, runtime string
	listen           string
}

func (o *localOptions) addFlags(f *pflag.FlagSet) {
	count(f, &o.nodes, "nodes", 3, 1, "how many nodes")
	f.StringVar(&o.data, "data", "", "`DIR`ectory to keep everything in (default: a temporary one, removed at the end)")
	f.StringVar(&o.backend, "backend", "dir", "`BACKEND` that stores volumes: dir")
	f.StringVar(&o.runtime, "runtime", "process", "`RUNTIME` that runs applications: process")
}

// with starts a cluster, lets use use it, and ends it. What was temporary is removed, whatever comes
// of that.
func (o *localOptions) with(ctx context.Context, use func(*localcluster.Cluster) error) (err error) {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	data := o.data
	if data == "" {
		if data, err = os.MkdirTemp("", "drover-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	}
	if data, err = filepath.Abs(data); err != nil {
		return err
	}
	c := &localcluster.Cluster{Binary: binary, Dir: data, Nodes: o.nodes, Network: o.listen, Backend: o.backend, Runtime: o.runtime}
	if err := c.Start(ctx); err != nil {
		return fmt.Errorf("start the cluster in %s: %w", data, err)
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	return use(c)
}

type devOptions struct{ localOptions }

func (o *devOptions) addFlags(f *pflag.FlagSet) {
	o.localOptions.addFlags(f)
	f.StringVar(&o.listen, "listen", "", "`NETWORK` of the cluster: the first three numbers of its addresses (default: a free one, 127.x.y)")
}

func newDev(io_ stdio) *cobra.Command {
	o := devOptions{localOptions{stdio: io_}}
	return command(&cobra.Command{Use: "dev", Short: "Run a whole cluster on this machine until Ctrl-C",
		Long: `Run a whole cluster on this machine until Ctrl-C: a control service and an agent for each node. One of them that
ends by itself is started again, and the last lines of its log are shown.`}, &o, runDev)
}

func runDev(ctx context.Context, o devOptions) error {
	return o.with(ctx, func(c *localcluster.Cluster) error {
		o.welcome(c, o.out)
		err := c.Keep(ctx, func(line string) { fmt.Fprintln(o.err, line) })
		fmt.Fprintln(o.out, "\nStopping.")
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
}

// welcome says where the cluster is and how to use it.
func (o *localOptions) welcome(c *localcluster.Cluster, w io.Writer) {
	fmt.Fprintf(w, "A cluster of %s is up.\n\n", cluster.Count(c.Nodes, "node"))
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
}
