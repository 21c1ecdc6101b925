package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/drover/drover/test/harness/hosts"
)

// A script moves one container between two hosts as a careful person with a shell would: stop,
// snapshot, send the difference over ssh, start. Its containers are created before, on both hosts.
type script struct {
	network *hosts.Network
	servers []*exec.Cmd
	config  string // of the ssh client
	at      string
	round   int
	port    int
}

func newScript(ctx context.Context, network *hosts.Network, dir string) (*script, error) {
	s := &script{network: network, config: filepath.Join(dir, "script-ssh", "client.conf")}
	keys := filepath.Dir(s.config)
	if err := makeSSH(ctx, keys); err != nil {
		return nil, err
	}
	lines := []string{"StrictHostKeyChecking no", "UserKnownHostsFile /dev/null", "LogLevel ERROR", "IdentityFile " + filepath.Join(keys, "user"),
		"Ciphers aes128-gcm@openssh.com", "Compression no", ""}
	if err := os.WriteFile(s.config, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		return nil, err
	}
	for _, h := range network.Hosts {
		server := h.Command("/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-o", "Port=22", "-o", "ListenAddress="+h.Address,
			"-o", "HostKey="+filepath.Join(keys, "host"), "-o", "AuthorizedKeysFile="+filepath.Join(keys, "user.pub"), "-o", "PidFile=none",
			"-o", "StrictModes=no", "-o", "UsePAM=no", "-o", "PermitRootLogin=yes", "-o", "LogLevel=ERROR")
		if err := server.Start(); err != nil {
			return nil, err
		}
		s.servers = append(s.servers, server)
		if err := waitForPort(ctx, h.Address+":22"); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *script) close() {
	for _, server := range s.servers {
		server.Process.Kill()
		server.Wait()
	}
}

func (s *script) dir(host string) string {
	return filepath.Join(s.network.Host(host).Storage, "script")
}

// data is where the volume is now.
func (s *script) data() string { return filepath.Join(s.dir(s.at), "data") }

// address is where the service is now.
func (s *script) address() string { return fmt.Sprintf("%s:%d", s.network.Host(s.at).Address, s.port) }

const scriptContainer = "script-service"

// create makes the container on both hosts and starts it on host a. DATA in args is the volume.
func (s *script) create(ctx context.Context, image string, args []string, internal int, command ...string) error {
	s.at, s.round, s.port = "a", 0, 18000
	for _, host := range []string{"a", "b"} {
		if err := os.MkdirAll(s.dir(host), 0o755); err != nil {
			return err
		}
	}
	if err := s.run(ctx, "a", "btrfs -q subvolume create "+s.data()); err != nil {
		return err
	}
	for _, host := range []string{"a", "b"} {
		h := s.network.Host(host)
		create := []string{"create", "--name", scriptContainer, "-p", fmt.Sprintf("%s:%d:%d", h.Address, s.port, internal)}
		for _, arg := range args {
			create = append(create, strings.ReplaceAll(arg, "DATA", filepath.Join(s.dir(host), "data")))
		}
		if out, err := h.Docker(append(append(create, image), command...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker create: %w: %s", err, out)
		}
	}
	if out, err := s.network.Host("a").Docker("start", scriptContainer).CombinedOutput(); err != nil {
		return fmt.Errorf("docker start: %w: %s", err, out)
	}
	return waitForPort(ctx, s.address())
}

// move is the script.
func (s *script) move(ctx context.Context) error {
	from, to := s.at, other(s.at)
	s.round++
	source, target := s.dir(from), s.dir(to)
	snapshot := fmt.Sprintf("s%d", s.round)
	parent := ""
	if s.round > 1 {
		parent = fmt.Sprintf("-p %s/s%d", source, s.round-1)
	}
	peer := s.network.Host(to)
	ssh := fmt.Sprintf("ssh -F %s root@%s", s.config, peer.Address)
	err := s.run(ctx, from, strings.Join([]string{
		"set -e -o pipefail",
		fmt.Sprintf("docker -H %s stop --time 60 %s >/dev/null", s.network.Host(from).EngineHost(), scriptContainer),
		fmt.Sprintf("btrfs -q subvolume snapshot -r %s/data %s/%s", source, source, snapshot),
		fmt.Sprintf("btrfs -q send %s %s/%s | %s 'btrfs -q receive %s'", parent, source, snapshot, ssh, target),
		fmt.Sprintf("%s 'btrfs -q subvolume snapshot %s/%s %s/data && docker -H %s start %s >/dev/null'",
			ssh, target, snapshot, target, peer.EngineHost(), scriptContainer),
	}, "\n"))
	if err != nil {
		return err
	}
	s.at = to
	// What comes next is outside of the pause: the old copy makes room for the way back.
	return s.run(ctx, from, fmt.Sprintf("btrfs -q subvolume delete %s/data", source))
}

// remove takes the containers and the volumes away.
func (s *script) remove(ctx context.Context) error {
	var errs []error
	for _, host := range []string{"a", "b"} {
		if out, err := s.network.Host(host).Docker("rm", "--force", scriptContainer).CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("docker rm: %w: %s", err, out))
		}
		errs = append(errs, s.run(ctx, host, fmt.Sprintf("btrfs -q subvolume delete %s/*", s.dir(host))))
	}
	return errors.Join(errs...)
}

// run runs a piece of shell on a host.
func (s *script) run(ctx context.Context, host, text string) error {
	cmd := s.network.Host(host).Command("bash", "-c", text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", text, err, out)
	}
	return ctx.Err()
}
