package ssh

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// files connects as a user and returns a client of the tree.
func files(t *testing.T, target volume.Backend) *connection {
	t.Helper()
	n := serve(t, target)
	n.client = ""
	c, err := n.transport.connect(t.Context(), n.node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.close() })
	return c
}

func TestTheTree(t *testing.T) {
	b, id := memSource(t, 100)
	c := files(t, b)
	volumePath := "/volumes/" + string(id)
	for _, row := range []struct {
		dir  string
		want []string
	}{
		{"/", []string{"volumes"}},
		{"/volumes", []string{string(id)}},
		{volumePath, []string{"copy.json", "incoming", "snapshots"}},
		{volumePath + "/snapshots", []string{"s1"}},
		{volumePath + "/incoming", nil},
	} {
		var got []string
		entries, err := c.sftp.ReadDir(row.dir)
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if slices.Sort(got); err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%s lists %q, %v; want %q", row.dir, got, err, row.want)
		}
		if info, err := c.sftp.Stat(row.dir); err != nil || !info.IsDir() {
			t.Errorf("%s is no directory: %v, %v", row.dir, info, err)
		}
	}
	if info, err := c.sftp.Stat(volumePath + "/snapshots/s1"); err != nil || info.IsDir() || info.Name() != "s1" {
		t.Errorf("a snapshot is %v, %v", info, err)
	}
	unknown := "/volumes/" + cluster.NewUUID()
	for _, name := range []string{"/etc", unknown, unknown + "/snapshots", volumePath + "/snapshots/s1"} {
		if _, err := c.sftp.ReadDir(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("list %s: got %v, want fs.ErrNotExist", name, err)
		}
	}
	for _, name := range []string{unknown + "/copy.json", volumePath + "/snapshots/s2"} {
		if _, err := c.sftp.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open %s: got %v, want fs.ErrNotExist", name, err)
		}
		if _, err := c.sftp.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat %s: got %v, want fs.ErrNotExist", name, err)
		}
	}
}

func TestTheTreeCannotBeChanged(t *testing.T) {
	b, id := memSource(t, 100)
	c := files(t, b)
	snapshot := path.Join("/volumes", string(id), "snapshots", "s1")
	for what, err := range map[string]error{
		"remove":  c.sftp.Remove(snapshot),
		"rename":  c.sftp.Rename(snapshot, snapshot+"2"),
		"mkdir":   c.sftp.Mkdir(path.Join("/volumes", cluster.NewUUID())),
		"symlink": c.sftp.Symlink("/etc/passwd", snapshot+"3"),
	} {
		if err == nil {
			t.Errorf("%s was allowed", what)
		}
	}
	if _, err := c.sftp.Create(snapshot); err == nil {
		t.Error("a snapshot could be written")
	}
}

// TestWhatCanBeRead: on a backend that ships the live files, only what is sure to be what it was.
func TestWhatCanBeRead(t *testing.T) {
	b, id := source(t, 1000)
	if _, err := b.Snapshot(t.Context(), id, "kept", true); err != nil {
		t.Fatal(err)
	}
	c := files(t, b)
	read := func(name string) error {
		f, err := c.sftp.Open(path.Join("/volumes", string(id), "snapshots", name))
		if err != nil {
			return answered(err)
		}
		defer f.Close()
		stream, err := io.ReadAll(f)
		if err == nil && len(stream) < 1000 {
			return fmt.Errorf("a stream of %d bytes", len(stream))
		}
		return err
	}
	if err := read("kept"); err != nil {
		t.Errorf("a kept snapshot: %v", err)
	}
	if err := read("s1"); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("a snapshot of a volume that is written to: got %v, want ErrRefused", err)
	}
	if err := b.Close(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Snapshot(t.Context(), id, "head", false); err != nil {
		t.Fatal(err)
	}
	if err := read("head"); err != nil {
		t.Errorf("the snapshot that a closed volume is at: %v", err)
	}
}

func TestAnErrorOfASendIsNoEnd(t *testing.T) {
	b, id := memSource(t, 100)
	c := files(t, b)
	f, err := c.sftp.Open(path.Join("/volumes", string(id), "snapshots", "gone:s1"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if stream, err := io.ReadAll(f); err == nil {
		t.Errorf("a difference to a snapshot that does not exist is %d bytes", len(stream))
	}
}

// TestStockClient lists and pulls a snapshot with OpenSSH's own sftp.
func TestStockClient(t *testing.T) {
	program, err := exec.LookPath("sftp")
	if err != nil {
		t.Fatal("OpenSSH's sftp is not installed: install openssh-client")
	}
	from, id := source(t, 3<<20)
	if _, err := from.Snapshot(t.Context(), id, "kept", true); err != nil {
		t.Fatal(err)
	}
	n := serve(t, from)
	key, file := newKey(t)
	n.server.Peers = func(offered string) (cluster.NodeID, bool) { return "", offered == PublicKey(key) }
	host, port, err := net.SplitHostPort(n.node.TransferAddress)
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, fmt.Appendf(nil, "[%s]:%s %s\n", host, port, n.node.TransferKey), 0o600); err != nil {
		t.Fatal(err)
	}
	sftp := func(script string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, "-F", "/dev/null", "-b", "-", "-P", port, "-i", file, "-o", "UserKnownHostsFile="+known,
			"-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "drover@"+host)
		cmd.Stdin = strings.NewReader(script)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	pulled := filepath.Join(t.TempDir(), "stream")
	out, err := sftp(fmt.Sprintf("ls /volumes\ncd /volumes/%s\nls -l snapshots\nget snapshots/kept %s\nget copy.json %s\n", id, pulled, pulled+".json"))
	if err != nil {
		t.Fatalf("sftp: %v\n%s", err, out)
	}
	if !strings.Contains(out, string(id)) || !strings.Contains(out, "kept") {
		t.Errorf("the listing lacks the volume or the snapshot:\n%s", out)
	}
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
	for _, script := range []string{
		fmt.Sprintf("put %s /volumes/%s/incoming/s2\n", pulled, id), fmt.Sprintf("rm /volumes/%s/snapshots/kept\n", id),
	} {
		if out, err := sftp(script); err == nil {
			t.Errorf("%s was allowed:\n%s", script, out)
		}
	}
}
