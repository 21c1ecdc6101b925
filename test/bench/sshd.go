package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A sshd is a private OpenSSH server on loopback with keys of its own.
type sshd struct {
	cmd    *exec.Cmd
	config string // of the client
}

// startSSHD starts a server that lives until stop.
func startSSHD(ctx context.Context, dir string) (*sshd, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := makeSSH(ctx, dir); err != nil {
		return nil, err
	}
	server := strings.Join([]string{
		fmt.Sprintf("Port %d", port), "ListenAddress 127.0.0.1", "HostKey " + filepath.Join(dir, "host"),
		"AuthorizedKeysFile " + filepath.Join(dir, "user.pub"), "PidFile none", "StrictModes no", "UsePAM no",
		"PasswordAuthentication no", "PermitRootLogin yes", "LogLevel ERROR", ""}, "\n")
	client := strings.Join([]string{
		"Host peer", "HostName 127.0.0.1", fmt.Sprintf("Port %d", port), "IdentityFile " + filepath.Join(dir, "user"),
		"StrictHostKeyChecking no", "UserKnownHostsFile /dev/null", "LogLevel ERROR",
		"Ciphers aes128-gcm@openssh.com", "Compression no", ""}, "\n")
	s := &sshd{config: filepath.Join(dir, "client.conf")}
	for path, text := range map[string]string{filepath.Join(dir, "server.conf"): server, s.config: client} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	s.cmd = exec.CommandContext(ctx, "/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "server.conf"))
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start sshd: %w (apt-get install openssh-server)", err)
	}
	return s, waitForPort(ctx, fmt.Sprintf("127.0.0.1:%d", port))
}

// makeSSH makes what a daemon needs: its key and a user's.
func makeSSH(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// The daemon separates privileges into this directory, which packages make at boot.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil && !errors.Is(err, os.ErrPermission) {
		return err
	}
	for _, key := range []string{"host", "user"} {
		keygen := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key))
		if out, err := keygen.CombinedOutput(); err != nil {
			return fmt.Errorf("make a key: %w: %s", err, out)
		}
	}
	return nil
}

// command is an ssh client's command line for that server, to be followed by a remote command.
func (s *sshd) command() []string { return []string{"ssh", "-F", s.config, "peer"} }

func (s *sshd) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// waitForPort waits until something accepts connections there.
func waitForPort(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", address, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
