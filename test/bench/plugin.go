package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/drover/drover/test/harness/debian"
	"github.com/drover/drover/test/harness/hosts"
)

// benchPlugin measures what people wait for when Docker has its volumes from Drover, beside Docker's
// own driver, and a database on such a volume beside the same file system without Drover.
func benchPlugin(ctx context.Context, o options) (results []result, err error) {
	d, err := newDock(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	results, err = d.commands(o.rounds)
	if err != nil {
		return nil, err
	}
	throughput, err := d.databases(o.rounds)
	return append(results, throughput), err
}

// A dock is a host whose engine has the volume plugin.
type dock struct {
	network *hosts.Network
	host    *hosts.Host
	stop    func() error
}

func newDock(ctx context.Context, o options) (d *dock, err error) {
	if err := hosts.Available(); err != nil {
		return nil, err
	}
	binary, err := droverBinary(ctx, o.dir)
	if err != nil {
		return nil, err
	}
	d = &dock{stop: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.network, err = hosts.New(filepath.Join(o.dir, "dock"), 1); err != nil {
		return nil, err
	}
	d.host = d.network.Hosts[0]
	if err := d.network.StartEngines(ctx); err != nil {
		return nil, err
	}
	root, err := debian.Root(ctx, "postgresql-15", "redis-server")
	if err != nil {
		return nil, err
	}
	if err := d.host.ImportTar(debianImage, root); err != nil {
		return nil, err
	}
	c := d.network.Cluster(binary, filepath.Join(o.dir, "dock-cluster"), "--plugin")
	d.stop = c.Stop
	return d, c.Start(ctx)
}

func (d *dock) close() error {
	if d.network == nil {
		return nil
	}
	return errors.Join(d.stop(), d.network.Close())
}

func (d *dock) docker(args ...string) (string, error) {
	out, err := d.host.Docker(args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// drivers are ours and theirs.
var drivers = []string{"drover", "local"}

// commands measures the life of a volume and of a container that uses it, by docker's command line.
func (d *dock) commands(rounds int) ([]result, error) {
	steps := []struct {
		figure string
		args   func(volume, container string) []string
		timed  bool
	}{
		{"docker volume create", func(v, _ string) []string { return []string{"volume", "create", "-d", driverOf(v), v} }, true},
		{"", func(v, c string) []string {
			return []string{"create", "--name", c, "--network", "none", "-v", v + ":/data", debianImage, "sleep", "1000000"}
		}, false},
		{"docker start, with a mount", func(_, c string) []string { return []string{"start", c} }, true},
		{"docker rm --force, with an unmount", func(_, c string) []string { return []string{"rm", "--force", c} }, true},
		{"docker volume rm", func(v, _ string) []string { return []string{"volume", "rm", v} }, true},
	}
	took := map[string][]float64{} // by driver and figure
	for round := range 4 * rounds {
		for _, driver := range drivers {
			volume := fmt.Sprintf("%s-%d", driver, round)
			for _, step := range steps {
				began := time.Now()
				if _, err := d.docker(step.args(volume, "c-"+volume)...); err != nil {
					return nil, err
				}
				took[driver+step.figure] = append(took[driver+step.figure], float64(time.Since(began).Microseconds())/1000)
			}
		}
	}
	var results []result
	for _, step := range steps {
		if step.timed {
			results = append(results, compare(step.figure, "ms", took["drover"+step.figure], "Docker's local driver", took["local"+step.figure], goal{}))
		}
	}
	return results, nil
}

func driverOf(volume string) string {
	driver, _, _ := strings.Cut(volume, "-")
	return driver
}

// startPostgres makes a database in the volume at /data and serves it on a socket.
const startPostgres = `chown postgres: /data && exec setpriv --reuid postgres --regid postgres --init-groups sh -c '
test -s /data/db/PG_VERSION || /usr/lib/postgresql/15/bin/initdb -D /data/db -U bank -A trust >/dev/null
exec /usr/lib/postgresql/15/bin/postgres -D /data/db -c listen_addresses= -k /tmp'`

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// databases measures pgbench in turn on a volume of Drover's and on a subvolume of the same btrfs that
// is mounted as it is.
func (d *dock) databases(rounds int) (result, error) {
	plain := filepath.Join(d.host.Storage, "plain")
	if out, err := exec.Command("btrfs", "subvolume", "create", plain).CombinedOutput(); err != nil {
		return result{}, fmt.Errorf("make a subvolume: %w: %s", err, out)
	}
	if err := os.Chmod(plain, 0o755); err != nil {
		return result{}, err
	}
	places := []struct{ name, volume string }{{"ours", "drover-db"}, {"plain", plain}}
	if _, err := d.docker("volume", "create", "-d", "drover", places[0].volume); err != nil {
		return result{}, err
	}
	for _, p := range places {
		if _, err := d.docker("run", "--detach", "--name", p.name, "--network", "none", "-v", p.volume+":/data", debianImage, "sh", "-c", startPostgres); err != nil {
			return result{}, err
		}
		if err := d.pgbench(p.name, "until pg_isready -q -h /tmp; do sleep 0.1; done; pgbench -i -q -s 10 -h /tmp -U bank postgres", nil); err != nil {
			return result{}, err
		}
	}
	measured := map[string][]float64{}
	for range rounds {
		for _, p := range places {
			series := measured[p.name]
			if err := d.pgbench(p.name, "psql -q -h /tmp -U bank postgres -c CHECKPOINT; pgbench -n -c 4 -T 8 -h /tmp -U bank postgres", &series); err != nil {
				return result{}, err
			}
			measured[p.name] = series
		}
	}
	return compare("PostgreSQL on a volume", "tps", measured["ours"], "the same btrfs, bind-mounted", measured["plain"], goal{atLeast: 0.98}), nil
}

// pgbench runs a script in a container and adds the throughput that it says to a series.
func (d *dock) pgbench(container, script string, series *[]float64) error {
	out, err := d.docker("exec", "--env", "PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin", container, "sh", "-c", script)
	if err != nil || series == nil {
		return err
	}
	found := tps.FindStringSubmatch(out)
	if found == nil {
		return fmt.Errorf("pgbench said nothing of its throughput: %s", out)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	*series = append(*series, value)
	return err
}
