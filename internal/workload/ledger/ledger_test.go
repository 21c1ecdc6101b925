package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/internal/workload"
	"github.com/drover/drover/internal/workload/ledger"
)

// asServer is the argument that makes this binary a ledger server.
const asServer = "-as-server"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == asServer {
		config, err := ledger.FromEnvironment(os.Getenv)
		if err == nil {
			ctx, cancel := context.WithCancel(context.Background())
			stop := make(chan os.Signal, 1)
			signal.Notify(stop, syscall.SIGTERM)
			go func() { <-stop; cancel() }()
			err = ledger.Serve(ctx, config, slog.New(slog.DiscardHandler))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A server is a ledger in a process of its own.
type server struct {
	t       *testing.T
	address string
	dir     string
	cmd     *exec.Cmd
}

func start(t *testing.T, dir, address string) *server {
	t.Helper()
	if address == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address = l.Addr().String()
		l.Close()
	}
	host, port, _ := net.SplitHostPort(address)
	s := &server{t: t, address: address, dir: dir, cmd: exec.Command(os.Args[0], asServer)}
	s.cmd.Env = append(os.Environ(), "DROVER_ADDR="+host, fmt.Sprintf("DROVER_PORT_%d=%s", ledger.Port, port), "DROVER_VOLUME="+dir)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill(); s.cmd.Wait() })
	deadline := time.Now().Add(time.Minute)
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return s
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func load(t *testing.T, address string) *workload.Runner {
	t.Helper()
	r := &workload.Runner{Database: ledger.Database{}, Address: address, Clients: 6, Think: time.Microsecond}
	r.Start(t.Context())
	for r.Totals().Acknowledged < 300 {
		if failures := r.Totals().Errors; len(failures) > 0 {
			t.Fatal(failures)
		}
		time.Sleep(time.Millisecond)
	}
	return r
}

// TestKilledUnderLoad ends the server by SIGKILL while it writes, and reads everything back.
func TestKilledUnderLoad(t *testing.T) {
	s := start(t, t.TempDir(), "")
	r := load(t, s.address)
	s.cmd.Process.Kill()
	s.cmd.Wait()
	r.Stop()
	start(t, s.dir, s.address)
	check, err := r.Verify(t.Context())
	if err != nil || len(check.Lost) > 0 || check.Stored < 300 {
		t.Errorf("%+v, %v", check, err)
	}
}

// TestStoppedUnderLoad asks the server to end. What its clients see is an open connection that
// breaks, once each, and a refused new one after that; never an error.
func TestStoppedUnderLoad(t *testing.T) {
	s := start(t, t.TempDir(), "")
	r := load(t, s.address)
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	totals := r.Stop()
	for _, err := range totals.Errors {
		if !strings.Contains(err.Error(), "refused") && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "EOF") {
			t.Errorf("a client saw %v", err)
		}
	}
	start(t, s.dir, s.address)
	if check, err := r.Verify(t.Context()); err != nil || len(check.Lost) > 0 {
		t.Errorf("%+v, %v", check, err)
	}
}

func TestTheSameEntryAgainIsTheSame(t *testing.T) {
	s := start(t, t.TempDir(), "")
	conn, err := ledger.Database{}.Connect(t.Context(), s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	e := workload.Entry{ID: "one", From: 1, To: 2, Amount: 3}
	for range 3 {
		if err := conn.Write(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := ledger.Database{}.Entries(t.Context(), s.address)
	if err != nil || len(stored) != 1 || stored["one"] != e {
		t.Errorf("stored %v, %v", stored, err)
	}
}

func TestBadRequests(t *testing.T) {
	s := start(t, t.TempDir(), "")
	for body, want := range map[string]int{"": 400, "{": 400, "{}": 400, `{"id":"x"}`: 200, `{"id":"` + strings.Repeat("x", 1<<17) + `"}`: 400} {
		response, err := http.Post("http://"+s.address+"/entries", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%.20q was answered with %s, want %d", body, response.Status, want)
		}
	}
}

func TestASecondServerFailsAtOnce(t *testing.T) {
	s := start(t, t.TempDir(), "")
	err := ledger.Serve(t.Context(), ledger.Config{Address: "127.0.0.1:0", Dir: s.dir}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "ledger.db") {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestFill(t *testing.T) {
	s := start(t, t.TempDir(), "")
	for _, megabytes := range []int{2, 5} { // the second goes on where the first ended
		var done int64
		err := ledger.Database{}.Prepare(t.Context(), s.address, megabytes, func(n, _ int64) { done = n })
		if err != nil || done != int64(megabytes)<<20 {
			t.Fatalf("filled %d bytes, %v", done, err)
		}
		info, err := os.Stat(s.dir + "/ledger.db")
		if err != nil || info.Size() < int64(megabytes)<<20 || info.Size() > int64(4*megabytes)<<20 {
			t.Errorf("asked for %d MB, the file has %d bytes", megabytes, info.Size())
		}
	}
}

func TestEnvironmentIsNeeded(t *testing.T) {
	if _, err := ledger.FromEnvironment(func(string) string { return "" }); err == nil {
		t.Error("it would have listened nowhere")
	}
}

func TestABrokenConnectionSaysSo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Close()
		}
	}()
	conn, err := ledger.Database{}.Connect(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(t.Context(), workload.Entry{ID: "x"}); !errors.Is(err, workload.ErrBroken) {
		t.Errorf("got %v, want ErrBroken", err)
	}
}
