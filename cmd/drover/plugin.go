package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/convergence/agentsocket"
	"github.com/drover/drover/convergence/dockervolume"
	"github.com/drover/drover/internal/pki"
	"github.com/drover/drover/volume/plugin"
)

type pluginOptions struct {
	stdio
	data, pki, control, socket string
	logging                    logOptions
}

func (o *pluginOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.control, "control", "localhost:4523", "`HOST:PORT` of the control service")
	f.StringVar(&o.data, "data", "/var/lib/drover", "`DIR`ectory of the agent's state")
	f.StringVar(&o.pki, "pki", "/etc/drover/pki", "`DIR`ectory with cluster.crt, plugin.crt and plugin.key")
	f.StringVar(&o.socket, "socket", plugin.Socket, "`PATH` where the engine looks for the plugin")
	o.logging.addFlags(f)
}

func newPlugin(io_ stdio) *cobra.Command {
	o := pluginOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "plugin",
		Short: "Run the Docker volume plugin of this host alone, so that it outlives the agent",
		Long: `Run the Docker volume plugin of this host, beside its agent. The engine lists and inspects volumes also
while the agent is not there. An agent with --plugin runs one by itself. A socket that systemd passes on is used in
place of --socket.`,
	}, &o, runPlugin)
}

func runPlugin(ctx context.Context, o pluginOptions) error {
	log := o.logging.logger(o.err)
	id, err := pki.PluginIDIn(o.pki)
	if err != nil {
		return cluster.WithHint(err, "an identity that an older version made has none for the plugin; `drover node add` adds it")
	}
	control, err := client.FromFiles(o.control, o.pki, pki.Plugin)
	if err != nil {
		return err
	}
	c := dockervolume.New(&dockervolume.Host{Node: id, Control: control, Agent: agentsocket.Client{Dir: o.data}, Dir: o.data, Log: log})
	driver := &plugin.Driver{Cluster: c, Log: log}
	listener, err := plugin.Activated()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.Run(ctx) })
	group.Go(func() error {
		if listener != nil {
			return driver.ServeOn(ctx, listener)
		}
		return driver.Serve(ctx, o.socket)
	})
	log.Info("the Docker plugin is up", "socket", o.socket, "activated", listener != nil)
	switch err := group.Wait(); {
	case errors.Is(err, plugin.ErrReplaced):
		log.Info("another plugin has taken over the socket")
		return nil
	case errors.Is(err, context.Canceled):
		return nil
	default:
		return err
	}
}

// keepPlugin runs the plugin as a process of its own until ctx ends. One that an agent before this
// one left, because it was killed, hands over to it. The engine would wait half a minute for a socket
// behind which nobody is, so the process is not to end with the agent unless that ends in order.
func keepPlugin(ctx context.Context, o agentOptions, log *slog.Logger) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(o.data, "plugin.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	for ctx.Err() == nil {
		cmd := exec.CommandContext(ctx, program, "plugin", "--control", o.control, "--data", o.data, "--pki", o.pki, "--socket", o.pluginSocket)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 5 * time.Second
		cmd.Stdout, cmd.Stderr = out, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		err := cmd.Run()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			log.Error("another plugin took over the socket, and this agent runs none until nobody answers there", "socket", o.pluginSocket)
			awaitSilence(ctx, o.pluginSocket)
			continue
		}
		log.Error("the Docker plugin has ended and is started again", "error", err, "log", out.Name())
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return ctx.Err()
}

// awaitSilence waits until nobody listens on a socket, or ctx ends.
func awaitSilence(ctx context.Context, socket string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return
		}
		conn.Close()
	}
}
