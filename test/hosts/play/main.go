// Command play runs a cluster of hosts on this machine until Ctrl-C, for people to play with: each
// host has a network namespace, a Docker engine and a btrfs file system of its own. `make hosts`
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
	"syscall"
	"time"

	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/test/harness/debian"
	"github.com/drover/drover/test/harness/hosts"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	count := flag.Int("hosts", 3, "how many hosts")
	databases := flag.Bool("databases", true, "make an image with PostgreSQL and Redis, which takes a minute the first time")
	flag.Parse()
	if err := run(ctx, *count, *databases); err != nil {
		fmt.Fprintln(os.Stderr, "hosts:", err)
		os.Exit(1)
	}
}

// image is what the databases are in.
const image = "debian-databases:12"

func run(ctx context.Context, count int, databases bool) (err error) {
	if err := hosts.Available(); err != nil {
		return err
	}
	binary, err := filepath.Abs("bin/drover")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "drover-hosts-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Printf("making %d hosts ...\n", count)
	network, err := hosts.New(dir, count)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	if err := network.StartEngines(ctx); err != nil {
		return err
	}
	if databases {
		fmt.Printf("making the image %s on host a ...\n", image)
		root, err := debian.Root(ctx, "postgresql-15", "redis-server")
		if err != nil {
			return err
		}
		if err := network.Hosts[0].ImportTar(image, root); err != nil {
			return err
		}
	}
	cluster := network.Cluster(binary, filepath.Join(dir, "cluster"))
	starting, cancel := context.WithTimeout(ctx, time.Minute)
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
func explain(network *hosts.Network, cluster *localcluster.Cluster, binary string) {
	fmt.Printf("\nIn another shell, as root:\n\n  export PATH=%s:$PATH DROVER_CONTROL=%s DROVER_PKI=%s\n",
		filepath.Dir(binary), cluster.ControlAddress(), cluster.PKI())
	fmt.Print("  drover status\n\n")
	for _, h := range network.Hosts {
		fmt.Printf("  host %s   %s   docker -H %s ps   agent's log: %s\n", h.Name, h.Address, h.EngineHost(), filepath.Join(cluster.Dir, h.Name+".log"))
	}
	a, b := network.Hosts[0], network.Hosts[len(network.Hosts)-1]
	fmt.Printf(`
Redis, on host a, and then on host %s (host a has the image; the others get it from there):

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

Cut and slow:  ip link set %s down     tc -n ... : see test/harness/hosts
Ctrl-C here takes everything away.
`, b.Name, image, b.Name, b.Name, b.Address, b.Name, a.Address, "v<bridge><host>")
}
