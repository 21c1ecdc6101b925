package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/internal/workload/postgres"
	"github.com/drover/drover/test/harness/debian"
	"github.com/drover/drover/test/harness/hosts"
)

// A stage is two hosts with Docker and btrfs: a cluster of ours on them, and beside it, on the same
// engines and file systems, what a script would do.
type stage struct {
	network *hosts.Network
	cluster *localcluster.Cluster
	control *client.Client
	script  *script
}

const (
	debianImage = "drover-bench-debian:1"
	plainImage  = "drover-bench-plain:1"
	// externalPort is where the proxies serve.
	externalPort = 17000
)

func newStage(ctx context.Context, o options) (s *stage, err error) {
	if err := hosts.Available(); err != nil {
		return nil, err
	}
	binary, err := droverBinary(ctx, o.dir)
	if err != nil {
		return nil, err
	}
	s = &stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.network, err = hosts.New(filepath.Join(o.dir, "hosts"), 2); err != nil {
		return nil, err
	}
	if err := s.network.StartEngines(ctx); err != nil {
		return nil, err
	}
	root, err := debian.Root(ctx, "postgresql-15", "redis-server")
	if err != nil {
		return nil, err
	}
	app := filepath.Join(o.dir, "app")
	build := exec.CommandContext(ctx, "go", "build", "-o", app, "./convergence/runtime/runtimetest/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the service: %w\n%s", err, out)
	}
	for _, h := range s.network.Hosts {
		if err := errors.Join(h.ImportTar(debianImage, root), h.Import(plainImage, app)); err != nil {
			return nil, err
		}
	}
	s.cluster = s.network.Cluster(binary, filepath.Join(o.dir, "hosts-cluster"))
	if err := s.cluster.Start(ctx); err != nil {
		return nil, err
	}
	if s.control, err = s.cluster.Client(); err != nil {
		return nil, err
	}
	s.script, err = newScript(ctx, s.network, o.dir)
	return s, err
}

func (s *stage) close() error {
	var errs []error
	if s.script != nil {
		s.script.close()
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Stop())
	}
	if s.network != nil {
		errs = append(errs, s.network.Close())
	}
	return errors.Join(errs...)
}

// deploy makes one application run on host a, in place of any other.
func (s *stage) deploy(ctx context.Context, app cluster.Application) error {
	app.Node = s.cluster.NodeID("a")
	c := cluster.Configuration{Applications: map[cluster.AppName]cluster.Application{app.Name: app},
		Volumes: map[cluster.VolumeID]cluster.Volume{app.Volume.Volume: {ID: app.Volume.Volume, Name: string(app.Name), Primary: app.Node}}}
	document, err := s.control.Configuration(ctx)
	if err != nil {
		return err
	}
	if _, err := s.control.Configure(ctx, document.Revision, c); err != nil {
		return err
	}
	_, err = s.control.WaitConverged(ctx, nil)
	return err
}

// move moves an application and waits until it has.
func (s *stage) move(ctx context.Context, app cluster.AppName, to string) error {
	move, err := s.control.RequestMove(ctx, wire.MoveRequest{Application: app, To: to})
	if err != nil {
		return err
	}
	ended, err := s.control.WatchMove(ctx, move.ID, func(cluster.Move) {})
	if err == nil && ended.Phase != cluster.PhaseDone {
		err = fmt.Errorf("the move ended as %s: %s", ended.Phase, ended.Reason)
	}
	f := ended.Stats
	fmt.Fprintf(os.Stderr, "  %s to %s: pause %s: stop %s, last round %s with %.1f MB, promote %s\n", app, to, f.Pause.Round(time.Millisecond),
		f.Stop.Round(time.Millisecond), f.Final.Took.Round(time.Millisecond), float64(f.Final.Bytes)/1e6, f.Promote.Round(time.Millisecond))
	return err
}

// data is where the volume of an application is on a host.
func (s *stage) data(app cluster.AppName, host string) string {
	return filepath.Join(s.cluster.NodeDir(host), "volumes", string(cluster.VolumeIDForName(app)), "data")
}

// proxy is where the other host's proxy serves: a client that is not on the host of the service.
func (s *stage) proxy(host string) string {
	return fmt.Sprintf("%s:%d", s.network.Host(host).Address, externalPort)
}

// plain is a service that answers HTTP and does nothing with its volume.
func plain(name cluster.AppName) cluster.Application {
	return cluster.Application{Name: name, Image: plainImage, Command: []string{"/app", "serve"},
		Ports:  []cluster.Port{{Internal: 8080, External: externalPort}},
		Volume: &cluster.Attachment{Volume: cluster.VolumeIDForName(name), Mountpoint: "/data"}}
}

// askHTTP asks a service over a new connection.
func askHTTP(address func() string) func(context.Context) error {
	transport := &http.Transport{DisableKeepAlives: true}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address(), nil)
		if err != nil {
			return err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	}
}

// askPostgres asks a database over a new connection.
func askPostgres(address func() string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, "postgres://bank@"+address()+"/postgres?sslmode=disable")
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		_, err = conn.Exec(ctx, "SELECT count(*) FROM accounts WHERE id < 10")
		return err
	}
}

// movesEach is how often each side moves.
func movesEach(o options) int { return 4 * o.rounds }

// other is the host that a move from host leads to.
func other(host string) string { return map[string]string{"a": "b", "b": "a"}[host] }

// benchHosts measures the pause of a move between two hosts with Docker and btrfs as clients see
// it, side by side with a script that stops, ships and starts.
func benchHosts(ctx context.Context, o options) ([]result, error) {
	s, err := newStage(ctx, o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var results []result
	for _, subject := range []func(context.Context, options) ([]result, error){s.plainPause, s.postgresPause, s.largePause} {
		more, err := subject(ctx, o)
		if err != nil {
			return nil, err
		}
		results = append(results, more...)
	}
	return results, nil
}

// plainPause: a service that does nothing, on a volume of 256 MB with 1 MB not yet written out.
func (s *stage) plainPause(ctx context.Context, o options) ([]result, error) {
	const app = "plain"
	if err := s.deploy(ctx, plain(app)); err != nil {
		return nil, err
	}
	if err := fill(s.data(app, "a"), 256); err != nil {
		return nil, err
	}
	if err := s.script.create(ctx, plainImage, []string{"-e", "DROVER_ADDR=0.0.0.0", "-e", "DROVER_PORT_8080=8080", "-v", "DATA:/data"},
		8080, "/app", "serve"); err != nil {
		return nil, err
	}
	defer s.script.remove(ctx)
	if err := fill(s.script.data(), 256); err != nil {
		return nil, err
	}
	// The first move of each side ships everything; the pause is not about that.
	if err := errors.Join(s.move(ctx, app, "b"), s.script.move(ctx)); err != nil {
		return nil, err
	}
	var ours, theirs []float64
	at := "b"
	for range movesEach(o) {
		one, err := s.pause(ctx, askHTTP(func() string { return s.proxy(at) }), s.data(app, at), func() error { return s.move(ctx, app, other(at)) })
		if err != nil {
			return nil, err
		}
		at = other(at)
		two, err := s.pause(ctx, askHTTP(s.script.address), s.script.data(), func() error { return s.script.move(ctx) })
		if err != nil {
			return nil, err
		}
		ours, theirs = append(ours, one), append(theirs, two)
	}
	return pauses("pause, plain service, 1 MB delta", ours, theirs, 0.55), nil
}

// pause measures one move after a write of 1 MB that nobody has synced.
func (s *stage) pause(ctx context.Context, ask func(context.Context) error, data string, move func() error) (float64, error) {
	p := startProber(ctx, ask)
	defer p.stop()
	if data != "" {
		if err := writeRandom(filepath.Join(data, "delta"), 1); err != nil {
			return 0, err
		}
	}
	return p.during(ctx, move)
}

// pauses are the median and the worst of both sides.
func pauses(name string, ours, theirs []float64, atMost float64) []result {
	return []result{
		compare(name+", median", "ms", ours, "script", theirs, goal{atMost: atMost}),
		compare(name+", worst", "ms", worst(ours), "script", worst(theirs), goal{}),
	}
}

func worst(values []float64) []float64 {
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	return []float64{most}
}

// postgresPause: a database of 580 MB under pgbench at 400 transactions a second, with a checkpoint
// before the stop.
func (s *stage) postgresPause(ctx context.Context, o options) ([]result, error) {
	db := postgres.Database{Image: debianImage}
	app := db.Application("postgres", externalPort)
	app.Stop.Before = []string{"/bin/sh", "-c", `"$PGBIN/psql" -h localhost -U bank -d postgres -q -c CHECKPOINT`}
	if err := s.deploy(ctx, app); err != nil {
		return nil, err
	}
	args := []string{"--stop-signal", "SIGINT", "--stop-timeout", "60", "-v", "DATA:/var/lib/postgresql",
		"-e", "DROVER_VOLUME=/var/lib/postgresql", "-e", "DROVER_ADDR=0.0.0.0", "-e", "DROVER_PORT_5432=5432"}
	for name, value := range app.Environment {
		args = append(args, "-e", name+"="+value)
	}
	if err := s.script.create(ctx, debianImage, args, 5432, app.Command...); err != nil {
		return nil, err
	}
	defer s.script.remove(ctx)
	for _, address := range []string{s.proxy("b"), s.script.address()} {
		if err := prepareBench(ctx, db, address); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(s.move(ctx, app.Name, "b"), s.script.move(ctx)); err != nil {
		return nil, err
	}
	var ours, theirs []float64
	at := "b"
	for range movesEach(o) {
		one, err := s.pauseUnder(ctx, func() string { return s.proxy(other(at)) }, func() error { return s.move(ctx, app.Name, other(at)) })
		if err != nil {
			return nil, err
		}
		at = other(at)
		two, err := s.pauseUnder(ctx, s.script.address, func() error { return s.script.move(ctx) })
		if err != nil {
			return nil, err
		}
		ours, theirs = append(ours, one), append(theirs, two)
	}
	return pauses("pause, PostgreSQL 580 MB at 400 tps", ours, theirs, 0.35), nil
}

// pauseUnder measures one move under pgbench.
func (s *stage) pauseUnder(ctx context.Context, address func() string, move func() error) (float64, error) {
	fixed := address() // a proxy stays where it is; the script's service does not
	if fixed == s.script.address() {
		fixed = ""
	}
	where := func() string {
		if fixed != "" {
			return fixed
		}
		return address()
	}
	stop := pgbench(ctx, where())
	defer stop()
	time.Sleep(1500 * time.Millisecond) // of load before the move
	return s.pause(ctx, askPostgres(where), "", move)
}

// largePause: the same service on 8 GB and on 64 MB, ours alone.
func (s *stage) largePause(ctx context.Context, o options) ([]result, error) {
	sizes := map[cluster.AppName]int{"small": 64, "large": 8 << 10}
	measured := map[cluster.AppName][]float64{}
	for _, app := range []cluster.AppName{"small", "large"} {
		if err := s.deploy(ctx, plain(app)); err != nil {
			return nil, err
		}
		if err := fill(s.data(app, "a"), sizes[app]); err != nil {
			return nil, err
		}
		if err := s.move(ctx, app, "b"); err != nil {
			return nil, err
		}
		at := "b"
		for range movesEach(o) {
			one, err := s.pause(ctx, askHTTP(func() string { return s.proxy(at) }), s.data(app, at), func() error { return s.move(ctx, app, other(at)) })
			if err != nil {
				return nil, err
			}
			at = other(at)
			measured[app] = append(measured[app], one)
		}
	}
	return []result{compare("pause, plain service on 8 GB, median", "ms", measured["large"], "the same on 64 MB", measured["small"], goal{atMost: 1.25})}, nil
}
