package torture

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/dir"
)

// The program of these tests plays the agent of an ordinary user when this is set, to what it does:
// "receive ROOT VOLUME SNAPSHOT", "send ROOT VOLUME SNAPSHOT", "torture DIRECTORY...".
const asUser = "DROVER_TORTURE_AS"

// A userNode is a node whose agent is an ordinary user, in a process of its own.
type userNode struct {
	root string
}

// asUserCommand is this program, run by the ordinary user.
func asUserCommand(t testing.TB, do []string, args ...string) *exec.Cmd {
	t.Helper()
	// The program is where only root can pass.
	program := filepath.Join(t.TempDir(), "torture")
	passable(t, filepath.Dir(program))
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(program, self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), asUser+"="+strings.Join(do, "\n"), "TMPDIR=/tmp")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	return cmd
}

// play is what the program does in place of tests; false if it is to test.
func play() (code int, played bool) {
	do := strings.Split(os.Getenv(asUser), "\n")
	if do[0] != "receive" && do[0] != "send" {
		return 0, false
	}
	b, err := dir.Open(do[1], dir.Options{})
	if err == nil {
		d := volume.Delta{Volume: cluster.VolumeID(do[2]), To: cluster.SnapshotName(do[3])}
		if do[0] == "receive" {
			err = b.Receive(context.Background(), d, os.Stdin)
		} else if _, err = b.Snapshot(context.Background(), d.Volume, d.To, false); err == nil {
			err = b.Send(context.Background(), d, os.Stdout)
		}
	}
	if err != nil {
		for name, kind := range errorKinds {
			if errors.Is(err, kind) {
				fmt.Fprintln(os.Stderr, name)
			}
		}
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

var errorKinds = map[string]error{"kind unsupported": cluster.ErrUnsupported, "kind refused": cluster.ErrRefused, "kind forbidden": cluster.ErrForbidden}

// do has the user's agent do something with a stream, and returns the error as it had it.
func (u *userNode) do(t testing.TB, what string, id cluster.VolumeID, in io.Reader, out io.Writer) error {
	t.Helper()
	cmd := asUserCommand(t, []string{what, u.root, string(id), "s"})
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &said
	if cmd.Run() == nil {
		return nil
	}
	err := errors.New(said.String())
	for line := range strings.Lines(said.String()) {
		if kind := errorKinds[strings.TrimSpace(line)]; kind != nil {
			err = fmt.Errorf("%w: %w", kind, err)
		}
	}
	return err
}

// toUser sends a volume with the property to the user's node; what it may not read it shall send.
func (l *lab) toUser(t *testing.T, p property, cell string) {
	t.Helper()
	if err := os.MkdirAll(l.user.root, 0o755); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := removeAll(l.user.root); err != nil {
			t.Error(err)
		}
	}()
	if err := os.Chown(l.user.root, user, user); err != nil {
		t.Fatal(err)
	}
	id := cluster.VolumeID(cluster.NewUUID())
	if p.file == "secret" {
		l.fromUser(t, p, id)
		return
	}
	from := l.dirs[0]
	path := plant(t, from, id)
	defer l.clear(t, id, from)
	p.plant(t, path)
	give(t, path)
	want := look(t, path)
	var stream bytes.Buffer
	if _, err := from.Backend.Snapshot(t.Context(), id, "s", false); err != nil {
		t.Fatal(err)
	}
	if err := from.Backend.Send(t.Context(), volume.Delta{Volume: id, To: "s"}, &stream); err != nil {
		t.Fatal(err)
	}
	err := l.user.do(t, "receive", id, &stream, io.Discard)
	if cell == "refused" {
		refused(t, p, err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if wrong := want.Differences(look(t, filepath.Join(l.user.root, string(id), "data"))); len(wrong) > 0 {
		t.Errorf("not kept:\n%s", strings.Join(wrong, "\n"))
	}
}

// fromUser has the user's agent send a volume with the property.
func (l *lab) fromUser(t *testing.T, p property, id cluster.VolumeID) {
	t.Helper()
	b, err := dir.Open(l.user.root, dir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), id, volume.Options{Owner: user, Group: user}); err != nil {
		t.Fatal(err)
	}
	path, err := b.Open(t.Context(), id, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	p.plant(t, path)
	b.Shut()
	give(t, l.user.root)
	refused(t, p, l.user.do(t, "send", id, nil, io.Discard))
}

// give makes all that is root's in a tree the user's, and leaves times and modes as they were.
func give(t testing.TB, root string) {
	t.Helper()
	tree, err := OpenTree(root, Can{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for name, is := range look(t, root) {
		if is.Owner != [2]uint32{} {
			continue
		}
		if err := tree.on(name, func(path string) error { return giveOne(path, is) }); err != nil {
			t.Fatal(err)
		}
	}
}

func giveOne(path string, is Name) error {
	if is.Flags != 0 {
		_ = setFlags(path, 0) // else nothing works
	}
	err := os.Lchown(path, user, user)
	if is.Kind != "symbolic link" {
		err = errors.Join(err, syscall.Chmod(path, is.Mode))
	}
	if value, there := is.Attributes[capabilityName]; there {
		err = errors.Join(err, syscall.Setxattr(path, capabilityName, []byte(value), 0))
	}
	if is.Flags != 0 {
		err = errors.Join(err, setFlags(path, is.Flags))
	}
	return err
}

// TestTortureAsUser is TestTorture by an agent that is an ordinary user.
func TestTortureAsUser(t *testing.T) {
	if os.Getuid() != 0 || os.Getenv(asUser) != "" {
		return // TestTorture is that already
	}
	do := []string{"torture"}
	for _, n := range nodes(t)[:3] {
		path := filepath.Join(n.Dir, "of-a-user")
		if err := errors.Join(os.Mkdir(path, 0o755), os.Chown(path, user, user)); err != nil {
			t.Fatal(err)
		}
		do = append(do, path)
	}
	args := []string{"-test.run=^TestTorture$", "-test.v", fmt.Sprintf("-torture.for=%s", *forFlag/3), "-torture.without=" + *without}
	if *seedFlag != 0 {
		args = append(args, fmt.Sprintf("-torture.seed=%d", *seedFlag))
	}
	out, err := asUserCommand(t, do, args...).CombinedOutput()
	if err != nil {
		t.Errorf("as user %d: %v\n%s", user, err, out)
	}
	scan := bufio.NewScanner(bytes.NewReader(out))
	var trees, rounds, pairs, faults int
	for scan.Scan() {
		if n, _ := fmt.Sscanf(scan.Text(), "torture: %d trees, %d rounds, %d pairs, %d faults", &trees, &rounds, &pairs, &faults); n == 4 {
			total.Join(trees, rounds, faults)
			return
		}
	}
	t.Errorf("as user %d nothing was tried: %s", user, out)
}

// userNodes are those of the process that TestTortureAsUser starts.
func userNodes(t testing.TB, paths []string) (all []*Node) {
	for _, path := range paths {
		all = append(all, dirNode(t, filepath.Base(filepath.Dir(path))+" as an ordinary user", filepath.Join(path, "volumes")))
	}
	return all
}
