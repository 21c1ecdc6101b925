package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/convergence"
	"github.com/drover/drover/internal/pki"
	"github.com/drover/drover/proxy"
)

type proxyOptions struct {
	stdio
	name, address, pki, control string
	patience, drain             time.Duration
	logging                     logOptions
}

func (o *proxyOptions) addFlags(f *pflag.FlagSet) {
	hostname, _ := os.Hostname() // only a default
	f.StringVar(&o.name, "name", hostname, "`NAME` of this node")
	f.StringVar(&o.address, "address", "", "`IP` address that clients reach this node at (required)")
	f.StringVar(&o.control, "control", "localhost:4523", "`HOST:PORT` of the control service")
	f.StringVar(&o.pki, "pki", "/etc/drover/pki", "`DIR`ectory with cluster.crt, node.crt and node.key")
	duration(f, &o.patience, "hold-patience", 30*time.Second, "how long new connections are kept waiting")
	duration(f, &o.drain, "drain", 10*time.Second, "how long open connections to a former endpoint may go on")
	o.logging.addFlags(f)
}

func newProxy(io_ stdio) *cobra.Command {
	o := proxyOptions{stdio: io_}
	return command(&cobra.Command{Use: "proxy", Short: "Run the routing proxy alone, on a host without applications"}, &o, runProxy)
}

func runProxy(ctx context.Context, o proxyOptions) error {
	if net.ParseIP(o.address) == nil {
		return fmt.Errorf("%w: --address %q: want the IP address of this node", cluster.ErrInvalid, o.address)
	}
	id, err := pki.NodeIDIn(o.pki)
	if err != nil {
		return err
	}
	control, err := client.FromFiles(o.control, o.pki, pki.Node)
	if err != nil {
		return err
	}
	log := o.logging.logger(o.err).With("node", o.name)
	routes := &proxy.Proxy{Address: o.address, Patience: o.patience, Drain: o.drain, Log: log}
	defer routes.Close(canceled())
	gateway := &convergence.Gateway{Control: control, Routes: routes, Log: log,
		Node: cluster.Node{ID: id, Name: o.name, Address: o.address, Era: era(), RoutesOnly: true, Version: version}}
	return gateway.Run(ctx)
}
