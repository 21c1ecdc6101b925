package remote

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// address makes this program a client of the server there.
const address = "DROVER_REMOTE_TEST_ADDRESS"

func TestMain(m *testing.M) {
	to := os.Getenv(address)
	if to == "" {
		os.Exit(m.Run())
	}
	conn, err := net.Dial("tcp", to)
	if err != nil {
		panic(err)
	}
	status, err := Run(conn, Command{Args: os.Args[1:], Env: []string{"DROVER_REMOTE_TEST=here"}}, os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(255)
	}
	os.Exit(status)
}

func serving(t *testing.T) (client func(args ...string) *exec.Cmd) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go Serve(l)
	return func(args ...string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), address+"="+l.Addr().String())
		return cmd
	}
}

func TestCommands(t *testing.T) {
	client := serving(t)
	for _, row := range []struct {
		script, in, out, trouble string
		status                   int
	}{
		{script: "echo out; echo trouble >&2; exit 3", out: "out\n", trouble: "trouble\n", status: 3},
		{script: "cat", in: "through", out: "through"},
		{script: "echo $DROVER_REMOTE_TEST", out: "here\n"},
		{script: "kill -9 $$", status: 128 + 9},
		{script: "exit 0", in: strings.Repeat("nobody reads this", 1<<16)},
		{script: "kill -STOP $$ & wait; kill -TERM $$", status: 128 + 15},
	} {
		t.Run(row.script, func(t *testing.T) {
			cmd := client("sh", "-c", row.script)
			var out, trouble bytes.Buffer
			cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(row.in), &out, &trouble
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(row.script, "STOP") {
				thaw(cmd.Process)
			}
			_ = cmd.Wait() // its status is looked at below
			if got := cmd.ProcessState.ExitCode(); got != row.status || out.String() != row.out || trouble.String() != row.trouble {
				t.Errorf("status %d, output %q, errors %q; want %d, %q, %q", got, &out, &trouble, row.status, row.out, row.trouble)
			}
		})
	}
}

// thaw lets a client go on as soon as it has stopped.
func thaw(client *os.Process) {
	for range 1000 {
		time.Sleep(5 * time.Millisecond) // there is nothing to wait on
		if state(client.Pid) == "T" {
			_ = client.Signal(syscall.SIGCONT)
			return
		}
	}
}

func state(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest[:min(len(rest), 1)]
}

// TestTheCommandEndsWithItsClient, and hears the signals of its client before.
func TestTheCommandEndsWithItsClient(t *testing.T) {
	client := serving(t)
	cmd := client("sh", "-c", "trap 'echo heard' USR1; echo $$; while :; do sleep 0.01; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := func() string {
		b := make([]byte, 100)
		n, _ := out.Read(b)
		return strings.TrimSpace(string(b[:n]))
	}
	pid := line()
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if got := line(); got != "heard" {
		t.Errorf("the command said %q", got)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat("/proc/" + pid); err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the command lives on without its client")
		}
	}
}
