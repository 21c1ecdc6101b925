package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/proxy"
)

// serveProxy is the first argument of this program when it is the proxy under measurement: like
// its peer, a process of its own.
const serveProxy = "serve-proxy"

func proxyProcess(args []string) int {
	f := flag.NewFlagSet(serveProxy, flag.ExitOnError)
	port := f.Int("port", 0, "port to listen on")
	endpoint := f.String("endpoint", "", "where to forward to")
	f.Parse(args)
	p := &proxy.Proxy{Address: "127.0.0.1", Log: slog.New(slog.DiscardHandler)}
	err := p.Apply([]cluster.Route{{External: *port, Application: "bench", Mode: cluster.Forward, Endpoint: *endpoint}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	io.Copy(io.Discard, os.Stdin) // until the parent goes away
	return 0
}

// benchProxy measures bytes, connections and small round trips: direct, through HAProxy with
// splice on both cores, and through ours.
func benchProxy(ctx context.Context, o options) ([]result, error) {
	server, err := echoServer()
	if err != nil {
		return nil, err
	}
	defer server.Close()
	direct := server.Addr().String()
	ours, stopOurs, err := startOurProxy(ctx, direct)
	if err != nil {
		return nil, err
	}
	defer stopOurs()
	theirs, stopTheirs, err := startHAProxy(ctx, o.dir, direct)
	if err != nil {
		return nil, err
	}
	defer stopTheirs()

	var results []result
	for _, m := range []struct {
		name, unit string
		measure    func(context.Context, string, time.Duration) (float64, error)
		goal       goal
	}{
		{"proxy bytes", "MB/s", bulk, goal{atLeast: 1.2}},
		{"proxy connections", "1/s", connections, goal{atLeast: 0.95}},
		{"proxy round trips of 64 B", "1/s", roundTrips, goal{atLeast: 0.95}},
	} {
		series := map[string][]float64{}
		for range o.rounds {
			for _, address := range []string{ours, theirs, direct} {
				v, err := m.measure(ctx, address, 2*time.Second)
				if err != nil {
					return nil, fmt.Errorf("%s through %s: %w", m.name, address, err)
				}
				series[address] = append(series[address], v)
			}
		}
		results = append(results,
			compare(m.name, m.unit, series[ours], "HAProxy", series[theirs], m.goal),
			compare(m.name, m.unit, series[ours], "direct", series[direct], goal{}))
	}
	return results, nil
}

func startOurProxy(ctx context.Context, endpoint string) (string, func(), error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, exe, serveProxy, "-port", strconv.Itoa(port), "-endpoint", endpoint)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		return "", nil, err
	}
	return started(ctx, cmd, port)
}

func startHAProxy(ctx context.Context, dir, endpoint string) (string, func(), error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	config := fmt.Sprintf(`global
    maxconn 4000
    nbthread 2
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    option splice-auto
listen bench
    bind 127.0.0.1:%d
    server endpoint %s
`, port, endpoint)
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, "haproxy", "-db", "-f", path)
	cmd.Stderr = os.Stderr
	return started(ctx, cmd, port)
}

// started starts a proxy and waits until it listens.
func started(ctx context.Context, cmd *exec.Cmd, port int) (string, func(), error) {
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start %s: %w", cmd.Args[0], err)
	}
	stop := func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if err := waitForPort(ctx, address); err != nil {
		stop()
		return "", nil, err
	}
	return address, stop, nil
}
