package zfs

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
	"github.com/drover/drover/volume/transfer/ssh"
)

// serve answers transfers for a backend, to one key, which is a user's if it has no node.
func serve(t *testing.T, b *Backend, key string, from cluster.NodeID) cluster.Node {
	t.Helper()
	own, err := ssh.LoadOrCreateKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &ssh.Server{Key: own, Backend: b, Log: slog.New(slog.DiscardHandler),
		Peers:  func(k string) (cluster.NodeID, bool) { return from, k == key },
		Permit: func(_ cluster.NodeID, d volume.Delta) (volume.Delta, error) { return d, nil }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(ctx, listener) }()
	t.Cleanup(func() { cancel(); <-done })
	return cluster.Node{ID: "b", Name: "b", TransferAddress: listener.Addr().String(), TransferKey: ssh.PublicKey(own)}
}

// cutting puts a relay before a node that breaks one connection after the other, each when so many
// bytes have come through it, and returns how many have reached the node in all. Like a cable that is
// pulled out, it takes nothing back of what has: a reset would.
func cutting(t *testing.T, to *cluster.Node, cuts []int64) *atomic.Int64 {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	target, carried := to.TransferAddress, &atomic.Int64{}
	to.TransferAddress = listener.Addr().String()
	go func() {
		for n := 0; ; n++ {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			limit := int64(1 << 40)
			if n < len(cuts) {
				limit = cuts[n]
			}
			go func() {
				_, _ = io.Copy(client, server)
				_, _ = io.Copy(io.Discard, server) // what is said to a client that is gone
				client.Close()
				server.Close()
			}()
			go func() {
				_, _ = io.Copy(counted{server, carried}, io.LimitReader(client, limit))
				client.Close()
				server.(*net.TCPConn).CloseWrite()
			}()
		}
	}()
	return carried
}

// counted counts what is written.
type counted struct {
	io.Writer
	n *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.Writer.Write(p)
}

// TestCutFiveTimes: a transfer over SSH goes on where it was. What has reached the other side is used, but
// for what a cut leaves of a packet and of ZFS's record. How much was shipped besides is only told: the SFTP
// client takes from the source until it has heard of the cut, and nothing bounds how long that takes.
func TestCutFiveTimes(t *testing.T) {
	const cuts, piece = 5, 256<<10 + 128<<10
	p := newPair(t, volume.Options{})
	p.write(p.a, "large", random(80<<20))
	p.snapshot(p.a, "s1")
	d, stream := p.stream("", "s1")
	whole := int64(stream.Len())
	key, err := ssh.LoadOrCreateKey(filepath.Join(t.TempDir(), "key"))
	p.must(err)
	to := serve(t, p.b, ssh.PublicKey(key), "a")
	carried := cutting(t, &to, []int64{16 << 20, 14 << 20, 18 << 20, 9 << 20, 12 << 20})
	transport := &ssh.Transport{Key: key}
	session, err := transport.Dial(t.Context(), to)
	p.must(err)
	defer session.Close()
	shipped, err := session.Send(t.Context(), d, p.a, transfer.Options{})
	p.must(err)
	session.Close()
	if p.copy(p.b).Head != p.copy(p.a).Snapshots[0].GUID {
		t.Error("the copies differ")
	}
	arrived := carried.Load()
	t.Logf("a stream of %d bytes, cut %d times: %d bytes shipped, %.3f times as many; %d arrived, %.3f times as many",
		whole, cuts, shipped, float64(shipped)/float64(whole), arrived, float64(arrived)/float64(whole))
	if most := whole + whole/100 + cuts*piece; arrived > most { // SSH adds less than a hundredth
		t.Errorf("%d bytes arrived for a stream of %d, want %d at most", arrived, whole, most)
	}
	if shipped < whole {
		t.Errorf("%d bytes were shipped for a stream of %d", shipped, whole)
	}
}

// TestStockSFTP: OpenSSH's own client lists snapshots and pulls one, and `zfs receive` takes it.
func TestStockSFTP(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	content := random(5 << 20)
	p.write(p.a, "file", content)
	_, err := p.a.Snapshot(t.Context(), p.id, "before-upgrade", true)
	p.must(err)
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	public, err := os.ReadFile(key + ".pub")
	p.must(err)
	node := serve(t, p.a, strings.Join(strings.Fields(string(public))[:2], " "), "")
	host, port, err := net.SplitHostPort(node.TransferAddress)
	p.must(err)
	known := filepath.Join(dir, "known_hosts")
	p.must(os.WriteFile(known, []byte("["+host+"]:"+port+" "+node.TransferKey+"\n"), 0o600))
	cmd := exec.Command("sftp", "-b", "-", "-i", key, "-P", port, "-o", "UserKnownHostsFile="+known, "-o", "StrictHostKeyChecking=yes", host)
	cmd.Stdin = strings.NewReader("ls /volumes/" + string(p.id) + "/snapshots\nget /volumes/" + string(p.id) + "/snapshots/before-upgrade " + dir + "/stream\n")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "before-upgrade") {
		t.Fatalf("sftp: %v: %s", err, out)
	}
	stream, err := os.ReadFile(filepath.Join(dir, "stream"))
	p.must(err)
	receive := exec.Command("zfs", "receive", "-u", p.a.pool()+"/pulled")
	receive.Stdin = bytes.NewReader(stream)
	if out, err := receive.CombinedOutput(); err != nil {
		t.Fatalf("zfs receive: %v: %s", err, out)
	}
	at := t.TempDir()
	command(t, "mount", "-t", "zfs", p.a.pool()+"/pulled@before-upgrade", at)
	defer command(t, "umount", at)
	if got, err := os.ReadFile(filepath.Join(at, "file")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
