// Package runtimetest is what every runtime.Runtime must pass.
//
// The application under test is the test binary itself, run with a mode as its argument: see Main.
package runtimetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// A Harness is one empty place for applications.
type Harness struct {
	Runtime runtime.Runtime
	// Command runs the application under test in a mode of Main. Image is what it is in, for
	// runtimes that run images.
	Command func(mode string) []string
	Image   string
	// Address is that of the node; empty is 127.0.0.1.
	Address string
	// Environment is what an instance of the suite must see of where to listen and of its volume.
	Environment []string
	// Contained: what an application leaves behind ends with it.
	Contained bool
	// Reopen returns a new runtime over the same place, as after a restart of the agent.
	Reopen func() runtime.Runtime
}

// The modes of Main.
const (
	// ModeServe answers HTTP with its environment until SIGTERM, which it obeys.
	ModeServe = "serve"
	// ModeStubborn serves and ignores SIGTERM.
	ModeStubborn = "stubborn"
	// ModeFail writes to its output and exits with status 3.
	ModeFail = "fail"
	// ModeLeave starts a child in a session of its own that serves, and exits.
	ModeLeave = "leave"
	// ModeSucceed exits with status 0.
	ModeSucceed = "succeed"
	// ModeSandbox waits.
	ModeSandbox = "sandbox"
)

// Port is the internal port of the applications under test.
const Port = 8080

// Main is the application under test. TestMain calls it when the process was started as one.
func Main(mode string) {
	switch mode {
	case ModeSandbox:
		time.Sleep(time.Hour)
	case ModeSucceed:
		os.Exit(0)
	case ModeFail:
		fmt.Println("this is the output")
		os.Exit(3)
	case ModeLeave:
		cmd := exec.Command(os.Args[0], os.Args[1:len(os.Args)-1]...)
		cmd.Args = append(cmd.Args, ModeServe)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		os.Exit(0)
	case ModeStubborn:
		signal.Ignore(syscall.SIGTERM)
	}
	address := net.JoinHostPort(os.Getenv("DROVER_ADDR"), os.Getenv(fmt.Sprintf("DROVER_PORT_%d", Port)))
	err := http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quit" {
			os.Exit(0)
		}
		fmt.Fprintln(w, strings.Join(os.Environ(), "\n"))
	}))
	fmt.Println(err)
	os.Exit(1)
}

// Run runs the suite.
func Run(t *testing.T, place func(*testing.T) Harness) {
	for _, test := range []struct {
		rule string
		run  func(*suite)
	}{
		{"create starts nothing, start serves, stop ends", (*suite).life},
		{"the environment says all that was promised", (*suite).environment},
		{"an application that ignores its signal is not killed", (*suite).stubborn},
		{"another definition replaces only what does not run", (*suite).replace},
		{"the end of an application is seen with its status and output", (*suite).fails},
		{"a runtime that is opened again finds what runs", (*suite).reopen},
		{"what an application leaves behind still counts", (*suite).leaves},
		{"the same ports serve after a restart", (*suite).samePorts},
		{"a command runs beside the application and its failure is told", (*suite).command},
		{"what does not exist is said to", (*suite).unknown},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			s := &suite{t: t, ctx: t.Context(), Harness: place(t)}
			t.Cleanup(func() {
				instances, _ := s.Runtime.Instances(context.Background())
				for _, i := range instances {
					s.Runtime.Kill(context.Background(), i.Name)
				}
			})
			test.run(s)
		})
	}
}

type suite struct {
	Harness
	t   *testing.T
	ctx context.Context
}

const app cluster.AppName = "app"

func (s *suite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) spec(mode string) runtime.Spec {
	return runtime.Spec{Address: s.address(), Epoch: 7, VolumePath: os.TempDir(), Application: cluster.Application{
		Name: app, Image: s.Image, Command: s.Command(mode), Ports: []cluster.Port{{Internal: Port, External: 80}},
		Links:       []cluster.Link{{LocalPort: 5432, RemotePort: 15432, Alias: "my-db"}},
		Environment: map[string]string{"OWN": "value with spaces"},
		Volume:      &cluster.Attachment{Volume: "volume", Mountpoint: "/data"},
		Stop:        cluster.StopPolicy{Timeout: time.Minute},
	}}
}

func (s *suite) address() string { return cmp.Or(s.Address, "127.0.0.1") }

// instance waits until the instance is as wanted.
func (s *suite) instance(what string, is func(runtime.Instance) bool) runtime.Instance {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		instances, err := s.Runtime.Instances(s.ctx)
		s.must(err)
		for _, i := range instances {
			if i.Name == app && is(i) {
				return i
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("never %s: %+v", what, instances)
		}
		select {
		case <-s.Runtime.Changed():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func healthy(i runtime.Instance) bool { return i.Running && i.Healthy }
func ended(i runtime.Instance) bool   { return !i.Running && !i.Ended.IsZero() }

func (s *suite) start(mode string) runtime.Instance {
	s.t.Helper()
	s.must(s.Runtime.Create(s.ctx, s.spec(mode)))
	s.must(s.Runtime.Start(s.ctx, app))
	return s.instance("healthy", healthy)
}

func (s *suite) get(i runtime.Instance, path string) string {
	s.t.Helper()
	response, err := http.Get("http://" + i.Endpoints[Port] + path)
	s.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	s.must(err)
	return string(body)
}

func (s *suite) life() {
	s.must(s.Runtime.Create(s.ctx, s.spec(ModeServe)))
	s.must(s.Runtime.Create(s.ctx, s.spec(ModeServe)))
	i := s.instance("created", func(i runtime.Instance) bool { return !i.Running })
	if i.Volume != "volume" || i.Epoch != 7 || i.Fingerprint != s.spec(ModeServe).Fingerprint() || !i.Started.IsZero() {
		s.t.Errorf("created: %+v", i)
	}
	s.must(s.Runtime.Start(s.ctx, app))
	s.must(s.Runtime.Start(s.ctx, app))
	i = s.instance("healthy", healthy)
	s.get(i, "/")
	if err := s.Runtime.Remove(s.ctx, app); !errors.Is(err, cluster.ErrConflict) {
		s.t.Errorf("remove of a running one: %v", err)
	}
	for range 2 {
		s.must(s.Runtime.Stop(s.ctx, app))
	}
	if i := s.instance("stopped", ended); !i.Asked || i.Healthy {
		s.t.Errorf("stopped: %+v", i)
	}
	for range 2 {
		s.must(s.Runtime.Remove(s.ctx, app))
	}
	if instances, err := s.Runtime.Instances(s.ctx); err != nil || len(instances) != 0 {
		s.t.Errorf("after remove: %v, %v", instances, err)
	}
}

func (s *suite) environment() {
	i := s.start(ModeServe)
	environment := s.get(i, "/")
	_, port, _ := net.SplitHostPort(i.Endpoints[Port])
	wanted := s.Environment
	if wanted == nil {
		wanted = []string{"DROVER_ADDR=127.0.0.1", "DROVER_PORT_8080=" + port, "DROVER_VOLUME=" + os.TempDir()}
	}
	for _, want := range append(wanted, "DROVER_APPLICATION=app", "OWN=value with spaces",
		"MY_DB_PORT_5432_TCP=tcp://"+s.address()+":15432", "MY_DB_PORT_5432_TCP_ADDR="+s.address()) {
		if !strings.Contains("\n"+environment, "\n"+want+"\n") {
			s.t.Errorf("%s is missing in\n%s", want, environment)
		}
	}
}

func (s *suite) stubborn() {
	spec := s.spec(ModeStubborn)
	spec.Application.Stop.Timeout = 200 * time.Millisecond
	s.must(s.Runtime.Create(s.ctx, spec))
	s.must(s.Runtime.Start(s.ctx, app))
	s.instance("healthy", healthy)
	if err := s.Runtime.Stop(s.ctx, app); !errors.Is(err, runtime.ErrStillRunning) {
		s.t.Fatalf("got %v, want ErrStillRunning", err)
	}
	i := s.instance("still healthy", healthy)
	s.get(i, "/")
	s.must(s.Runtime.Kill(s.ctx, app))
	s.must(s.Runtime.Kill(s.ctx, app))
	if i := s.instance("killed", ended); !i.Asked || !strings.Contains(i.Reason, "SIGKILL") {
		s.t.Errorf("killed: %+v", i)
	}
}

func (s *suite) replace() {
	s.start(ModeServe)
	if err := s.Runtime.Create(s.ctx, s.spec(ModeStubborn)); !errors.Is(err, cluster.ErrConflict) {
		s.t.Errorf("replaced what runs: %v", err)
	}
	s.must(s.Runtime.Stop(s.ctx, app))
	s.must(s.Runtime.Create(s.ctx, s.spec(ModeFail)))
	i := s.instance("replaced", func(i runtime.Instance) bool { return !i.Running })
	if i.Fingerprint != s.spec(ModeFail).Fingerprint() || !i.Ended.IsZero() {
		s.t.Errorf("replaced: %+v", i)
	}
}

func (s *suite) fails() {
	s.must(s.Runtime.Create(s.ctx, s.spec(ModeFail)))
	s.must(s.Runtime.Start(s.ctx, app))
	i := s.instance("ended", ended)
	if i.Asked || i.ExitStatus != 3 || !strings.Contains(i.Reason, "3") {
		s.t.Errorf("ended: %+v", i)
	}
	logs, err := s.Runtime.Logs(s.ctx, app, false)
	s.must(err)
	defer logs.Close()
	if output, err := io.ReadAll(logs); err != nil || string(output) != "this is the output\n" {
		s.t.Errorf("output %q, %v", output, err)
	}
}

func (s *suite) reopen() {
	before := s.start(ModeServe)
	s.Runtime = s.Reopen()
	after := s.instance("found again", healthy)
	if after.Endpoints[Port] != before.Endpoints[Port] || !after.Started.Equal(before.Started) {
		s.t.Errorf("found again: %+v, was %+v", after, before)
	}
	s.must(s.Runtime.Stop(s.ctx, app))
	s.instance("stopped", ended)
	if _, err := net.Dial("tcp", before.Endpoints[Port]); err == nil {
		s.t.Error("it still serves")
	}
}

func (s *suite) leaves() {
	if s.Contained {
		s.must(s.Runtime.Create(s.ctx, s.spec(ModeLeave)))
		s.must(s.Runtime.Start(s.ctx, app))
		if i := s.instance("ended", ended); i.Asked || i.ExitStatus != 0 {
			s.t.Errorf("ended by itself: %+v", i)
		}
		return
	}
	i := s.start(ModeLeave)
	s.get(i, "/") // it is the child that serves
	http.Get("http://" + i.Endpoints[Port] + "/quit")
	if i := s.instance("ended", ended); i.Asked {
		s.t.Errorf("ended by itself: %+v", i)
	}
}

func (s *suite) samePorts() {
	before := s.start(ModeServe)
	s.must(s.Runtime.Stop(s.ctx, app))
	s.must(s.Runtime.Start(s.ctx, app))
	after := s.instance("healthy again", healthy)
	if before.Endpoints[Port] != after.Endpoints[Port] {
		s.t.Errorf("served at %s, now at %s", before.Endpoints[Port], after.Endpoints[Port])
	}
}

func (s *suite) command() {
	s.start(ModeServe)
	s.must(s.Runtime.Exec(s.ctx, app, s.Command(ModeSucceed)))
	err := s.Runtime.Exec(s.ctx, app, s.Command(ModeFail))
	if err == nil || !strings.Contains(err.Error(), "this is the output") || !strings.Contains(err.Error(), "3") {
		s.t.Errorf("got %v, want the status and the output", err)
	}
}

func (s *suite) unknown() {
	for what, err := range map[string]error{"start": s.Runtime.Start(s.ctx, "ghost"), "stop": s.Runtime.Stop(s.ctx, "ghost"),
		"command": s.Runtime.Exec(s.ctx, "ghost", []string{"true"})} {
		if !errors.Is(err, cluster.ErrNotFound) {
			s.t.Errorf("%s: got %v, want ErrNotFound", what, err)
		}
	}
	s.must(s.Runtime.Remove(s.ctx, "ghost"))
}
