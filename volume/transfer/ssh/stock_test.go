package ssh

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A stockClient is OpenSSH's own sftp, for a user of a node whose key may be taken away.
type stockClient struct {
	t       *testing.T
	command []string
	host    string
	allowed atomic.Bool
}

func newStockClient(t *testing.T, n *node) *stockClient {
	t.Helper()
	program, err := exec.LookPath("sftp")
	if err != nil {
		t.Fatal("OpenSSH's sftp is not installed: install openssh-client")
	}
	host, port, err := net.SplitHostPort(n.node.TransferAddress)
	if err != nil {
		t.Fatal(err)
	}
	line, err := n.node.KnownHost()
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, file := newKey(t)
	c := &stockClient{t: t, host: "drover@" + host, command: []string{program, "-F", "/dev/null", "-b", "-", "-P", port, "-i", file,
		"-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"}}
	c.allowed.Store(true)
	n.server.Peers = func(offered string) (cluster.NodeID, bool) { return "", offered == PublicKey(key) && c.allowed.Load() }
	return c
}

func (c *stockClient) start(place, script string) (*exec.Cmd, *strings.Builder) {
	out := &strings.Builder{}
	cmd := exec.CommandContext(c.t.Context(), c.command[0], append(c.command[1:], c.host+place)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), out, out
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd, out
}

// run runs commands of sftp in a place.
func (c *stockClient) run(place, script string) (string, error) {
	cmd, out := c.start(place, script)
	err := cmd.Wait()
	return out.String(), err
}

// works runs commands that must succeed.
func (c *stockClient) works(place, script string) string {
	c.t.Helper()
	out, err := c.run(place, script)
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// TestStockClient lists and pulls a snapshot with OpenSSH's own sftp, by the id and by the name.
func TestStockClient(t *testing.T) {
	from, id := source(t, 3<<20)
	kept, err := from.Snapshot(t.Context(), id, "kept", true)
	if err != nil {
		t.Fatal(err)
	}
	n := serve(t, from, func(s *Server) { s.Names = func() map[cluster.VolumeID]string { return volumeNames{id: "pgdata"} } })
	c := newStockClient(t, n)
	if out := c.works("", "ls -1 /volumes\n"); !strings.Contains(out, "/volumes/pgdata\n") || strings.Contains(out, string(id)) {
		t.Errorf("the volume is not listed by its name:\n%s", out)
	}
	for _, name := range []string{string(id), "pgdata"} {
		out := c.works(":/volumes/"+name+"/snapshots/", "ls -l\n")
		if want := fmt.Sprintf(`(?m) %d +%s .* kept$`, kept.Bytes, kept.Created.Local().Format("Jan _2")); !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the listing of %s lacks the snapshot with its size and time, %s:\n%s", name, want, out)
		}
		pulled := filepath.Join(t.TempDir(), "stream")
		c.works(":/volumes/"+name, fmt.Sprintf("get snapshots/kept %s\nget copy.json %[1]s.json\n", pulled))
		stream, err := os.Open(pulled)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		if err := openDir(t).Receive(t.Context(), volume.Delta{Volume: id, To: "kept"}, stream); err != nil {
			t.Errorf("what was pulled is no stream: %v", err)
		}
		if held, err := os.ReadFile(pulled + ".json"); err != nil || !strings.Contains(string(held), string(id)) {
			t.Errorf("copy.json is %s, %v", held, err)
		}
	}
	for script, why := range map[string]string{
		"put names.go /volumes/pgdata/incoming/s2": "Permission denied",
		"rm /volumes/pgdata/snapshots/kept":        "Permission denied",
		"ls /volumes/pgdata/incoming":              "not found",
		"ls /volumes/ghost/snapshots":              "not found",
		"get /volumes/pgdata/snapshots/ghost":      "not found",
		"get /volumes/pgdata/snapshots/s1":         "not found", // made for a transfer, and written over
	} {
		if out, err := c.run("", script+"\n"); err == nil || !strings.Contains(out, why) {
			t.Errorf("%s: %v, want one that says %q:\n%s", script, err, why, out)
		}
	}
}

// TestAKeyThatWasTakenAway ends what its holder has open, and lets nobody in.
func TestAKeyThatWasTakenAway(t *testing.T) {
	from, id := memSource(t, 100)
	n := serve(t, spring{from})
	c := newStockClient(t, n)
	pulled := filepath.Join(t.TempDir(), "stream")
	pull, out := c.start("", "get /volumes/"+string(id)+"/snapshots/s1 "+pulled+"\n")
	eventually(t, "the stream flows", func() bool { info, err := os.Stat(pulled); return err == nil && info.Size() > 0 })
	c.allowed.Store(false)
	ended := make(chan error, 1)
	go func() { ended <- pull.Wait() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Errorf("a stream without an end has ended well:\n%s", out)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the connection was not closed")
	}
	if out, err := c.run("", "ls /volumes\n"); err == nil || !strings.Contains(out, "Permission denied (publickey)") {
		t.Errorf("a new connection: %v\n%s", err, out)
	}
}

// A spring is a backend whose streams never end.
type spring struct{ volume.Backend }

func (spring) Send(_ context.Context, _ volume.Delta, w io.Writer) error {
	for {
		if _, err := w.Write(make([]byte, 100_000)); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
