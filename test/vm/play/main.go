// Command play runs a cluster of virtual hosts on this machine until Ctrl-C, for people to play
// with: each has real OpenZFS, a pool and a Docker engine of its own, in emulation. `make zfs-hosts`
// runs it, as root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/test/harness/vm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	count := flag.Int("hosts", 3, "how many hosts")
	flags := flag.String("agent-flags", "", "added to the command line of every agent; such as \"--backend dir\"")
	flag.Parse()
	if err := run(ctx, *count, strings.Fields(*flags)); err != nil {
		fmt.Fprintln(os.Stderr, "zfs-hosts:", err)
		os.Exit(1)
	}
}

// databases is an image that every host has.
var databases = vm.Image{Name: "drover-test-debian:1", Packages: []string{"postgresql-15", "redis-server"}}

func run(ctx context.Context, count int, flags []string) (err error) {
	if err := vm.Available(); err != nil {
		return err
	}
	binary, err := filepath.Abs("bin/drover")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "drover-vms-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Printf("making %d virtual hosts; the first time, that takes some minutes ...\n", count)
	network, err := vm.New(ctx, filepath.Join(dir, "vms"), count, databases)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	cluster := network.Cluster(binary, filepath.Join(dir, "cluster"), flags...)
	starting, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := cluster.Start(starting); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	explain(network, cluster, binary)
	<-ctx.Done()
	fmt.Println("\ntaking everything away ...")
	return nil
}

// explain prints how to play.
func explain(network *vm.Network, cluster *localcluster.Cluster, binary string) {
	fmt.Printf("\nIn another shell:\n\n  export PATH=%s:$PATH DROVER_CONTROL=%s DROVER_PKI=%s\n  drover status\n\n",
		filepath.Dir(binary), cluster.ControlAddress(), cluster.PKI())
	for _, h := range network.Hosts {
		fmt.Printf("  host %s   %s   agent's log: %s   console: %s\n", h.Name, h.Address, filepath.Join(cluster.Dir, h.Name+".log"), h.Serial())
		fmt.Printf("           %s zfs list -t all -r tank\n", strings.Join(h.Command("").Args[:2], " "))
	}
	a, b := network.Hosts[0], network.Hosts[len(network.Hosts)-1]
	fmt.Printf(`
Redis, on host a, and then on host %s:

  cat > app.yml <<END
version: 1
applications:
  redis:
    image: %s
    command_line: ["/usr/bin/redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/data", "--appendonly", "yes"]
    ports: [{internal: 6379, external: 6379}]
    volume: {mountpoint: /data}
END
  printf 'version: 1\nnodes:\n  a: [redis]\n' > on-a.yml
  printf 'version: 1\nnodes:\n  %s: [redis]\n' > on-%s.yml
  drover deploy app.yml on-a.yml
  redis-cli -h %s set key value     # any host's address leads to it
  drover deploy app.yml on-%s.yml
  redis-cli -h %s get key

Any command runs on a host as zfs does above. Cables: ip link set %s down. Power: kill -9 $(cat %s).
Ctrl-C here takes everything away.
`, b.Name, databases.Name, b.Name, b.Name, b.Address, b.Name, a.Address, a.Cable(), filepath.Join(b.Dir, "qemu.pid"))
}
