package vm_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/test/harness/testcluster"
)

// An operator works on a cluster of one virtual host, by the commands alone.
type operator struct {
	t *testing.T
	c *testcluster.Cluster
}

// drover runs a command of the user's, which must end well unless it is to be refused.
func (o operator) drover(args ...string) string {
	o.t.Helper()
	out, err := o.command(testcluster.Binary(o.t), args...)
	if err != nil {
		o.t.Fatalf("drover %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (o operator) refused(why string, args ...string) {
	o.t.Helper()
	out, err := o.command(testcluster.Binary(o.t), args...)
	if err == nil || !strings.Contains(out, why) {
		o.t.Errorf("drover %s: %v, and it does not say %q:\n%s", strings.Join(args, " "), err, why, out)
	}
}

func (o operator) command(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(o.t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "DROVER_CONTROL="+o.c.ControlAddress(), "DROVER_PKI="+o.c.PKI())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// on runs a script on the host.
func (o operator) on(script string) string {
	o.t.Helper()
	out, err := o.c.VMs.Host("a").Command("sh", "-c", script).CombinedOutput()
	if err != nil {
		o.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// at returns where the host has mounted a volume.
func (o operator) at(volume string) string {
	o.t.Helper()
	for deadline := time.Now().Add(testcluster.Patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		v, err := o.c.Control().Volume(o.t.Context(), volume)
		if err != nil {
			o.t.Fatal(err)
		}
		if len(v.Copies) == 1 && v.Copies[0].Copy.Open {
			return v.Copies[0].Copy.Path
		}
	}
	o.t.Fatalf("volume %s does not open", volume)
	return ""
}

// TestVolumes does with volumes on ZFS what an operator can do, and looks at it with ZFS's own
// commands and OpenSSH's own client.
func TestVolumes(t *testing.T) {
	o := operator{t, testcluster.OnVMs(t, 1)}
	if out := o.drover("node", "inspect", "a"); !strings.Contains(out, "zfs module") || !strings.Contains(out, "adopt") {
		t.Errorf("node inspect does not say what was found of ZFS:\n%s", out)
	}
	o.on("zfs create -o recordsize=8K tank/db && echo one > /tank/db/file")
	o.drover("volume", "adopt", "tank/db", "--name", "pgdata", "--node", "a")
	if got := o.on("zfs get -Ho value recordsize tank/drover/pgdata && cat " + o.at("pgdata") + "/file"); got != "8K\none" {
		t.Errorf("the adopted volume has %q", got)
	}
	o.refused("does not exist", "volume", "adopt", "tank/nothing", "--name", "nothing", "--node", "a", "--timeout", "20s")
	o.drover("volume", "rm", "nothing")

	// A service that has nothing to do with it has got the volume's mount, and is in nobody's way when
	// it is closed below.
	o.on("grep -q " + o.at("pgdata") + " /proc/$(systemctl show -P MainPID private.service)/mountinfo")

	o.drover("snapshot", "create", "pgdata", "before")
	pulled(o, "pgdata", "before")
	o.on("echo two > " + o.at("pgdata") + "/file")
	o.drover("volume", "clone", "pgdata", "then", "--snapshot", "before")
	if got := o.on("cat " + o.at("then") + "/file"); got != "one" {
		t.Errorf("the clone has %q", got)
	}
	o.refused("not found", "volume", "rollback", "then", "never-made")
	o.drover("volume", "rollback", "pgdata", "before")
	if got := o.on("cat " + o.at("pgdata") + "/file"); got != "one" {
		t.Errorf("after the rollback the volume has %q", got)
	}

	o.drover("volume", "create", "fresh", "--node", "a", "--size", "100M", "--profile", "database", "-o", "zfs.compression=zstd")
	if got := o.on("zfs get -Ho value recordsize,compression,refquota,drover:role tank/drover/fresh"); got != "16K\nzstd\n100M\nprimary" {
		t.Errorf("a new volume has %q", got)
	}
	o.refused("mountpoint", "volume", "create", "bad", "--node", "a", "-o", "zfs.mountpoint=/etc", "--timeout", "20s")
	o.drover("volume", "rm", "bad")
	o.drover("volume", "resize", "fresh", "200M")
	o.on("echo kept > " + o.at("fresh") + "/file")
	o.drover("volume", "rm", "fresh")
	o.c.Converge()
	if got := o.on("zfs list -Ho name -r tank/drover"); strings.Contains(got, "tank/drover/fresh") || !strings.Contains(got, "drover:trash/fresh.removed") {
		t.Errorf("after rm there is\n%s", got)
	}
	o.drover("volume", "undelete", "fresh")
	o.c.Converge()
	if got := o.on("cat " + o.at("fresh") + "/file; zfs get -Ho value refquota tank/drover/fresh"); got != "kept\n200M" {
		t.Errorf("what came back is %q", got)
	}
}

// pulled pulls a snapshot with a user's key and OpenSSH's client, which knows the host by the
// cluster's records, and gives it to ZFS.
func pulled(o operator, volume, snapshot string) {
	o.t.Helper()
	dir := o.t.TempDir()
	key, known := filepath.Join(dir, "key"), filepath.Join(dir, "known_hosts")
	if out, err := o.command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key); err != nil {
		o.t.Fatal(out)
	}
	o.drover("key", "add", "operator", key+".pub")
	if err := os.WriteFile(known, []byte(o.drover("node", "known-hosts")), 0o600); err != nil {
		o.t.Fatal(err)
	}
	var host, port string
	for _, n := range o.c.Converge().Nodes {
		host, port, _ = net.SplitHostPort(n.Node.TransferAddress) // the agent has listened at it
	}
	from := "/volumes/" + volume + "/snapshots/"
	sftp := exec.CommandContext(o.t.Context(), "sftp", "-b", "-", "-i", key, "-P", port, "-o", "UserKnownHostsFile="+known, "-o", "StrictHostKeyChecking=yes", host)
	sftp.Stdin = strings.NewReader("ls " + from + "\nget " + from + snapshot + " " + dir + "/stream\n")
	if out, err := sftp.CombinedOutput(); err != nil || !strings.Contains(string(out), snapshot) {
		o.t.Fatalf("sftp: %v\n%s", err, out)
	}
	stream, err := os.Open(filepath.Join(dir, "stream"))
	if err != nil {
		o.t.Fatal(err)
	}
	defer stream.Close()
	receive := o.c.VMs.Host("a").Command("sh", "-c", "zfs receive -u tank/pulled && mkdir -p /run/pulled && mount -t zfs tank/pulled@"+snapshot+" /run/pulled && cat /run/pulled/file")
	receive.Stdin = stream
	if out, err := receive.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "one" {
		o.t.Errorf("what was pulled is %q, %v", out, err)
	}
}
