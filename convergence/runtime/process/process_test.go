package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/convergence/runtime/runtimetest"
)

// asApplication is the argument that makes this binary an application under test.
const asApplication = "-as-application"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == asApplication {
		runtimetest.Main(os.Args[2])
	}
	os.Exit(m.Run())
}

func command(mode string) []string { return []string{os.Args[0], asApplication, mode} }

func open(t *testing.T, dir string) *Runtime {
	t.Helper()
	r, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestConformance(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T) runtimetest.Harness {
		dir := t.TempDir()
		r := open(t, dir)
		return runtimetest.Harness{Runtime: r, Command: command, Reopen: func() runtime.Runtime {
			r.Close()
			return open(t, dir)
		}}
	})
}

// TestHealthWithoutFiles: a local shortage says nothing of an application.
func TestHealthWithoutFiles(t *testing.T) {
	runtimetest.Shortage(t, runtimetest.Harness{Runtime: open(t, t.TempDir()), Command: command})
}

// TestLeftProcessesAreNotOverlookedWithoutFiles: an application whose processes cannot be looked
// for has not ended, or a volume would be closed under one that writes.
func TestLeftProcessesAreNotOverlookedWithoutFiles(t *testing.T) {
	r := open(t, t.TempDir())
	if err := errors.Join(r.Create(t.Context(), spec(runtimetest.ModeServe)), r.Start(t.Context(), "app")); err != nil {
		t.Fatal(err)
	}
	i, _ := r.find("app")
	t.Cleanup(func() { r.Kill(context.Background(), "app") })
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	found, err := withToken(i.made.Token)
	leader := i.run.leader.alive()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err == nil || !leader {
		t.Errorf("found %v, %v; its leader is alive: %t", found, err, leader)
	}
}

func spec(mode string) runtime.Spec {
	return runtime.Spec{Address: "127.0.0.1", Application: cluster.Application{Name: "app", Command: command(mode)}}
}

func TestCheck(t *testing.T) {
	r := open(t, t.TempDir())
	for _, row := range []struct {
		rule string
		app  cluster.Application
		want error
	}{
		{"a command that is there", cluster.Application{Command: []string{"sh"}}, nil},
		{"an image needs another runtime", cluster.Application{Image: "postgres"}, cluster.ErrUnsupported},
		{"a command that is not there", cluster.Application{Command: []string{"no-such-program"}}, cluster.ErrRefused},
		{"a user who is not there", cluster.Application{Command: []string{"sh"}, User: "no-such-user"}, cluster.ErrRefused},
	} {
		if err := r.Check(t.Context(), runtime.Spec{Application: row.app}); !errors.Is(err, row.want) {
			t.Errorf("%s: got %v, want %v", row.rule, err, row.want)
		}
	}
}

// TestCrashBetweenStartAndRecord finds a process that no record names.
func TestCrashBetweenStartAndRecord(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	if err := r.Create(t.Context(), spec(runtimetest.ModeServe)); err != nil {
		t.Fatal(err)
	}
	i, err := r.find("app")
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	i.record = record{Begun: true, Started: time.Now()}
	i.save()
	i.mu.Unlock()
	r.Close()
	orphan := exec.Command("sleep", "300")
	orphan.Env = []string{tokenVariable + "=" + i.made.Token}
	orphan.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	go orphan.Wait() // else it stays a zombie of this test

	r = open(t, dir)
	instances, err := r.Instances(t.Context())
	if err != nil || len(instances) != 1 || !instances[0].Running {
		t.Fatalf("the process was not found: %+v, %v", instances, err)
	}
	if err := r.Stop(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(orphan.Process.Pid, 0); err == nil {
		t.Error("it still runs")
	}
}

func TestRecordOfAnEarlierBoot(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	if err := r.Create(t.Context(), spec(runtimetest.ModeServe)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	stale := `{"begun": true, "process": {"pid": 1, "ticks": 1}, "boot": "another"}`
	if err := os.WriteFile(filepath.Join(dir, "app", "record.json"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	instances, err := open(t, dir).Instances(t.Context())
	if err != nil || len(instances) != 1 || instances[0].Running || !instances[0].Asked {
		t.Errorf("after a restart of the host: %+v, %v", instances, err)
	}
}

func TestAProcessIdThatIsUsedAgainIsAnotherProcess(t *testing.T) {
	self, err := stat(os.Getpid())
	if err != nil || !self.alive() {
		t.Fatalf("this process looks dead: %v", err)
	}
	if (identity{PID: self.PID, Ticks: self.Ticks + 1}).alive() {
		t.Error("another process with the same id is taken for it")
	}
	if (identity{}).alive() {
		t.Error("no process is taken for one")
	}
}

func TestOtherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("CANNOT RUN: only root can run applications as another user")
	}
	dir := t.TempDir()
	r := open(t, dir)
	s := spec("")
	s.Application.Command, s.Application.User = []string{"sh", "-c", "id -un; id -gn; echo $HOME"}, "nobody"
	if err := errors.Join(r.Create(t.Context(), s), r.Start(t.Context(), "app")); err != nil {
		t.Fatal(err)
	}
	i, _ := r.find("app")
	for i.state().Running {
		<-r.Changed()
	}
	output, err := os.ReadFile(filepath.Join(dir, "app", outputFile))
	if err != nil || string(output) != "nobody\nnogroup\n/nonexistent\n" {
		t.Errorf("it ran as %q, %v", output, err)
	}
}

func TestOutputIsRotated(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	if err := r.Create(t.Context(), spec(runtimetest.ModeServe)); err != nil {
		t.Fatal(err)
	}
	i, _ := r.find("app")
	path := filepath.Join(dir, "app", outputFile)
	for n := range outputKept + 2 {
		if err := os.WriteFile(path, append([]byte{byte('0' + n)}, make([]byte, outputLimit)...), 0o600); err != nil {
			t.Fatal(err)
		}
		i.rotate()
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("the output was not emptied: %v, %v", info, err)
	}
	for n, want := range map[string]byte{".1": '4', ".2": '3', ".3": '2'} {
		if b, err := os.ReadFile(path + n); err != nil || b[0] != want {
			t.Errorf("%s holds %q, %v", n, b[:min(len(b), 1)], err)
		}
	}
	if _, err := os.Stat(path + ".4"); err == nil {
		t.Error("too many are kept")
	}
}
