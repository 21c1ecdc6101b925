package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/store/bolt"
	"github.com/drover/drover/deploy"
	"github.com/drover/drover/internal/durable"
	"github.com/drover/drover/internal/pki"
)

// Where the control service has what it keeps, unless it is told otherwise.
const (
	controlData = "/var/lib/drover/control"
	controlPKI  = "/etc/drover/pki"
	storeName   = "control.db" // in the directory of its data
)

type controlOptions struct {
	stdio
	data    string
	pki     string
	listen  string
	hosts   []string
	cluster string
	logging logOptions
}

func (o *controlOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.data, "data", controlData, "`DIR`ectory of what the service must not lose")
	f.StringVar(&o.pki, "pki", controlPKI, "`DIR`ectory of the authority and the certificates; made at the first start")
	f.StringVar(&o.listen, "listen", ":4523", "`ADDRESS` to listen on")
	f.StringSliceVar(&o.hosts, "host", nil, "more `NAMES` or addresses that clients use for this service, for its certificate")
	f.StringVar(&o.cluster, "cluster", "drover", "`NAME` of the cluster, for its authority, at the first start")
	o.logging.addFlags(f)
}

func newControl(io_ stdio) *cobra.Command {
	o := controlOptions{stdio: io_}
	c := command(&cobra.Command{
		Use:   "control",
		Short: "Run the control service: configuration, ownership, routes, over HTTPS",
		Long: `Run the control service. At its first start it makes the cluster's certificate authority, and the
certificates of the service and of a first user, in the directory given by --pki.`,
	}, &o, runControl)
	c.AddCommand(newControlAccept(io_), newControlBackup(io_), newControlRestore(io_))
	return c
}

func runControl(ctx context.Context, o controlOptions) error {
	log := o.logging.logger(o.err)
	listener, err := listen(ctx, o.listen) // first: nothing is made for a service that can't be reached
	if err != nil {
		return err
	}
	defer listener.Close()
	authority, err := pki.Init(o.pki, o.cluster, append(o.hosts, listenHosts(o.listen)...)...)
	if err != nil {
		return fmt.Errorf("prepare the certificates in %s: %w", o.pki, err)
	}
	if err := durable.MkdirAll(o.data, 0o700); err != nil {
		return err
	}
	store, err := bolt.Open(filepath.Join(o.data, storeName))
	if err != nil {
		return err
	}
	defer store.Close()
	service, err := control.Open(ctx, store, control.Options{Log: log, Version: version, Cluster: authority.ClusterID()})
	if err != nil {
		return fmt.Errorf("open the control service: %w", err)
	}
	tlsConfig, err := pki.ServerTLS(o.pki, pki.Control)
	if err != nil {
		return err
	}
	server := api.Server(service, api.Options{Log: log, Compose: deploy.Compose})
	log.Info("the control service is up", "address", listener.Addr(), "data", o.data)
	return serveUntil(ctx, server, tls.NewListener(listener, tlsConfig), service.Run)
}

// listen listens on an address; a client whose host vanished is noticed while it polls.
func listen(ctx context.Context, address string) (net.Listener, error) {
	if _, err := net.ResolveTCPAddr("tcp", address); err != nil {
		return nil, fmt.Errorf("%w: --listen %s: want HOST:PORT or :PORT, such as :4523: %w", cluster.ErrInvalid, address, err)
	}
	alive := net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}
	return (&net.ListenConfig{KeepAliveConfig: alive}).Listen(ctx, "tcp", address)
}

// serveUntil serves HTTP and runs the housekeeping until ctx ends or one of the two fails.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener, housekeeping func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(listener) }()
	go func() { failed <- housekeeping(ctx) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	// Agents and watchers hold long polls: they are cut, and come back by themselves.
	closing := server.Close()
	if errors.Is(err, context.Canceled) || errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, closing)
}

// listenHosts returns the names under which clients may reach the address.
func listenHosts(listen string) []string {
	hosts := []string{"localhost", "127.0.0.1"}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	return hosts
}
