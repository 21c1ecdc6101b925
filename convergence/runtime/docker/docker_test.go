package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/convergence/runtime/docker"
	"github.com/drover/drover/convergence/runtime/runtimetest"
	"github.com/drover/drover/test/harness/hosts"
)

// The tests run on a host of their own, with an engine: TestMain makes it and runs the test binary
// there again. hostVariable is then the host's directory.
const (
	hostVariable    = "DROVER_TEST_HOST"
	addressVariable = "DROVER_TEST_ADDRESS"
	image           = "drover-test-app:1"
)

func TestMain(m *testing.M) {
	fuzzing := slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.fuzz") })
	if os.Getenv(hostVariable) != "" || fuzzing { // which is of parsers: they need no engine
		os.Exit(m.Run())
	}
	if err := hosts.Available(); err != nil {
		fmt.Printf("CANNOT RUN: the docker runtime with a real engine: %v\n", err)
		os.Exit(0)
	}
	status, err := onHost()
	if err != nil {
		fmt.Println(err)
		status = 1
	}
	os.Exit(status)
}

// onHost runs this program again on a host with a Docker engine.
func onHost() (status int, err error) {
	dir, err := os.MkdirTemp("", "drover-docker-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	network, err := hosts.New(dir, 1)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	host := network.Hosts[0]
	if err := host.StartEngine(ctx); err != nil {
		return 1, err
	}
	app := filepath.Join(dir, "app")
	build := exec.Command("go", "build", "-o", app, "../runtimetest/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the application under test: %w\n%s", err, out)
	}
	if err := host.Import(image, app); err != nil {
		return 1, err
	}
	cmd := host.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), hostVariable+"="+dir, addressVariable+"="+host.Address, "DOCKER_HOST="+host.EngineHost())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return 1, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// open opens a runtime with a name of its own on the shared engine.
func open(t *testing.T) (r *docker.Runtime, reopen func() *docker.Runtime) {
	t.Helper()
	o := docker.Options{Dir: t.TempDir(), Prefix: "t" + cluster.NewUUID()[:8], Sandbox: filepath.Join(os.Getenv(hostVariable), "app"), Patience: time.Second}
	make := func() *docker.Runtime {
		r, err := docker.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}
	return make(), make
}

func command(mode string) []string { return []string{"/app", mode} }

func TestConformance(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T) runtimetest.Harness {
		r, reopen := open(t)
		return runtimetest.Harness{Runtime: r, Image: image, Command: command, Address: os.Getenv(addressVariable), Contained: true,
			Environment: []string{"DROVER_ADDR=0.0.0.0", "DROVER_PORT_8080=8080", "DROVER_VOLUME=/data"},
			Reopen: func() runtime.Runtime {
				r.Close()
				return reopen()
			}}
	})
}

// TestHealthWithoutFiles: a local shortage says nothing of an application.
func TestHealthWithoutFiles(t *testing.T) {
	r, _ := open(t)
	runtimetest.Shortage(t, runtimetest.Harness{Runtime: r, Image: image, Command: command, Address: os.Getenv(addressVariable), Contained: true})
}

func spec(mode string) runtime.Spec {
	return runtime.Spec{Address: os.Getenv(addressVariable), Application: cluster.Application{Name: "app", Image: image,
		Command: command(mode), Ports: []cluster.Port{{Internal: runtimetest.Port, External: 80}}}}
}

func TestRefused(t *testing.T) {
	r, _ := open(t)
	bare := spec(runtimetest.ModeServe)
	bare.Application.Image = ""
	if err := r.Create(t.Context(), bare); !errors.Is(err, cluster.ErrUnsupported) {
		t.Errorf("without an image: got %v, want ErrUnsupported", err)
	}
	sandbox := spec(runtimetest.ModeServe)
	sandbox.Application.Name = "db.sandbox"
	if err := r.Create(t.Context(), sandbox); !errors.Is(err, cluster.ErrUnsupported) {
		t.Errorf("the name of another one's network, which would be removed with it: got %v, want ErrUnsupported", err)
	}
	unknown := spec(runtimetest.ModeServe)
	unknown.Application.Image = "registry.invalid/none:1"
	if err := r.Create(t.Context(), unknown); !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(err.Error(), "registry.invalid/none:1") {
		t.Errorf("an image that nobody has: got %v, want ErrUnavailable with its name", err)
	}
	lost := spec(runtimetest.ModeServe)
	lost.Application.Volume = &cluster.Attachment{Volume: "v", Mountpoint: "/data"}
	lost.VolumePath = filepath.Join(t.TempDir(), "not there")
	if err := r.Create(t.Context(), lost); err != nil {
		t.Fatalf("a volume that is still to come: %v", err)
	}
	if err := r.Start(t.Context(), "app"); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("a volume that never came: got %v, want ErrConflict", err)
	}
	if _, err := os.Stat(lost.VolumePath); err == nil {
		t.Error("an empty directory was made in place of the volume")
	}
	if err := r.Remove(t.Context(), "app"); err != nil {
		t.Error(err)
	}
}

// engine runs a command of the engine's own client.
func engine(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("/usr/bin/docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %s", args, out)
	}
	return strings.TrimSpace(string(out))
}

// TestLimits asks the engine what it has made of a definition.
func TestLimits(t *testing.T) {
	r, _ := open(t)
	s := spec(runtimetest.ModeServe)
	s.Application.Limits = cluster.Limits{MemoryBytes: 64 << 20, CPUShares: 512, Swappiness: 30}
	s.Application.Stop.Signal = "SIGINT"
	s.Application.Links = []cluster.Link{{LocalPort: 1, RemotePort: 2, Alias: "other"}}
	if err := r.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	docker := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("/usr/bin/docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	id := docker("ps", "--all", "--quiet", "--filter", "label=drover.fingerprint="+s.Fingerprint())
	const format = "{{.HostConfig.Memory}} {{.HostConfig.CpuShares}} {{.HostConfig.MemorySwappiness}} {{.Config.StopSignal}} {{.HostConfig.RestartPolicy.Name}}"
	if got, want := engine(t, "inspect", "--format", format, id), "67108864 512 30 SIGINT no"; got != want {
		t.Errorf("the container has %q, want %q", got, want)
	}
	sandbox := strings.TrimPrefix(engine(t, "inspect", "--format", "{{.HostConfig.NetworkMode}}", id), "container:")
	if got := engine(t, "inspect", "--format", "{{.HostConfig.ExtraHosts}}", sandbox); got != "[other:"+s.Address+"]" {
		t.Errorf("the names of its links are %s", got)
	}
	if err := r.Remove(t.Context(), "app"); err != nil {
		t.Error(err)
	}
}

// appTar is a root that holds the application under test alone.
func appTar(t *testing.T) []byte {
	t.Helper()
	program, err := os.ReadFile(filepath.Join(os.Getenv(hostVariable), "app"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
