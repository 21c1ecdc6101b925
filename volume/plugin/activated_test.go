package plugin

import (
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const childVariable = "DROVER_TEST_PLUGIN"

// TestASocketOfSystemdOutlivesThePlugin: who asks while the plugin is dead is answered by the next one.
func TestASocketOfSystemdOutlivesThePlugin(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		listener, err := Activated()
		if err != nil || listener == nil {
			t.Fatalf("nothing was passed on: %v", err)
		}
		(&Driver{Cluster: newShelf(), Log: slog.New(slog.DiscardHandler)}).ServeOn(t.Context(), listener)
		return
	}
	if listener, err := Activated(); listener != nil || err != nil {
		t.Fatalf("this process has %v, %v", listener, err)
	}
	socket := socketIn(t)
	systemd, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	passed, err := systemd.File()
	if err != nil {
		t.Fatal(err)
	}
	defer passed.Close()
	start := func() (end func()) {
		// The shell has the id that its program will have.
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -test.run '^'`+t.Name()+`'$'`, os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"=1")
		cmd.ExtraFiles = []*os.File{passed}
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return func() {
			cmd.Process.Kill()
			cmd.Wait()
			if t.Failed() {
				t.Log(out.String())
			}
		}
	}
	e := newEngine(t, socket)
	e.client.Timeout = 20 * time.Second
	list := func() {
		t.Helper()
		if status, _ := e.post("VolumeDriver.List", `{}`); status != 200 {
			t.Errorf("a list: %d", status)
		}
	}
	end := start()
	list()
	end()

	answered := make(chan struct{})
	go func() {
		defer close(answered)
		list()
	}()
	end = start()
	defer end()
	<-answered
	if _, err := os.Lstat(socket); err != nil {
		t.Errorf("the socket was taken away: %v", err)
	}
}
