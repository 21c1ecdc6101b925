package zfs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// namespaced runs a script with mounts of its own until the test ends or it is told to, and returns when
// it has said that it is ready. A reaction to its end of input is up to the script.
func namespaced(t *testing.T, script string) (pid int, end func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script+"\necho ready; read -r line; exit 0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			in.Close()
			_, _ = io.Copy(io.Discard, out)
			_ = cmd.Wait() // it was ended
		}
	}
	t.Cleanup(end)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the script said %q, %v", line, err)
	}
	return cmd.Process.Pid, end
}

// shared makes what is mounted and unmounted here known to namespaces that are made of this one, as
// systemd has it.
func shared(t *testing.T) {
	t.Helper()
	needZFS(t)
	if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "") })
}

// TestAServiceWithMountsOfItsOwn has received the volume's mount, as one of systemd with PrivateTmp has,
// and does not use it. It is in nobody's way.
func TestAServiceWithMountsOfItsOwn(t *testing.T) {
	shared(t)
	p := newPair(t, volume.Options{})
	p.write(p.a, "file", []byte("one"))
	namespaced(t, "mount --make-rslave / && grep -q "+p.a.Path(p.id)+" /proc/self/mountinfo")
	p.must(p.a.Close(t.Context(), p.id))
	if c := p.copy(p.a); c.Open || c.Unclosed {
		t.Errorf("the copy is %+v", c)
	}
}

// TestACopyOfTheMount: whoever has one of his own could go on writing after an unmount here. He is
// named, the volume stays open, and is closed when he is gone.
func TestACopyOfTheMount(t *testing.T) {
	shared(t)
	p := newPair(t, volume.Options{})
	p.write(p.a, "file", []byte("one"))
	at := t.TempDir()
	pid, end := namespaced(t, "mount --make-rprivate / && mount --bind "+p.a.Path(p.id)+" "+at)
	for range 2 {
		err := p.a.Close(t.Context(), p.id)
		p.want(err, cluster.ErrConflict)
		if !strings.Contains(err.Error(), fmt.Sprintf("process %d (", pid)) {
			t.Errorf("%q does not say by whom", err)
		}
		if c := p.copy(p.a); !c.Open {
			t.Errorf("the copy is %+v", c)
		}
		p.write(p.a, "more", []byte("two"))
	}
	end()
	p.must(p.a.Close(t.Context(), p.id))

	p.open(p.a, 1, "")
	p.must(unix.Mount(p.a.Path(p.id), at, "", unix.MS_BIND, ""))
	err := p.a.Close(t.Context(), p.id)
	if p.want(err, cluster.ErrConflict); !strings.Contains(err.Error(), at) {
		t.Errorf("%q does not say that it is mounted at %s", err, at)
	}
	f, err := os.Create(filepath.Join(at, "by hand"))
	p.must(err)
	p.must(unix.Unmount(at, unix.MNT_DETACH))
	p.want(p.a.Close(t.Context(), p.id), cluster.ErrConflict) // nobody can see it any more, but write
	f.Close()
	p.must(p.a.Close(t.Context(), p.id))
}

// TestViews of a dataset and a snapshot leave nothing, also when whoever made one is gone.
func TestViews(t *testing.T) {
	p := newPair(t, volume.Options{Labels: volume.Labels{Name: "pgdata"}})
	p.write(p.a, "file", []byte("one"))
	p.snapshot(p.a, "s1")
	p.must(p.a.Close(t.Context(), p.id))
	name := p.a.root + "/pgdata"
	for _, source := range []string{name + "@s1", name} {
		v, err := p.a.look(t.Context(), source, true)
		p.must(err)
		if got, err := os.ReadFile(filepath.Join(v.root, "file")); err != nil || string(got) != "one" {
			t.Errorf("%s: %q, %v", source, got, err)
		}
		p.must(v.close())
		_, err = p.a.look(t.Context(), source, true)
		p.must(err)
	}
	p.a.Shut()
	again := openAt(t, p.a.root, p.a.o.Dir)
	if left := glob(t, filepath.Join(p.a.views(), "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	p.must(again.Drop(t.Context(), p.id, "s1"))
	p.must(again.Remove(t.Context(), p.id))
}

// TestNobodyElsePasses: with containers nobody but root gets at a volume by its path, also where an
// earlier version let everybody.
func TestNobodyElsePasses(t *testing.T) {
	root := pool(t, 256) + "/drover"
	at := t.TempDir()
	if err := os.Chmod(at, 0o711); err != nil {
		t.Fatal(err)
	}
	b, err := Open(root, Options{Dir: at, Private: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Shut()
	p := &pair{t: t, id: someID, a: b}
	p.must(b.Create(t.Context(), p.id, volume.Options{Owner: 1234, Group: 1234}))
	p.open(b, 1, "")
	p.must(os.WriteFile(filepath.Join(b.Path(p.id), "setuid"), []byte("#!"), 0o755))
	cmd := exec.Command("cat", filepath.Join(b.Path(p.id), "setuid"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("another user reads %q", out)
	}
	p.must(b.Close(t.Context(), p.id))
}
