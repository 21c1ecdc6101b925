package hosts

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/test/harness/bridge"
)

// netVariable makes this program do something on a host: "listen ADDRESS" or "dial ADDRESS".
const netVariable = "DROVER_HOSTS_TEST_NET"

func TestMain(m *testing.M) {
	action, address, _ := strings.Cut(os.Getenv(netVariable), " ")
	switch action {
	case "":
		os.Exit(m.Run())
	case "listen":
		l, err := net.Listen("tcp", address)
		if err != nil {
			os.Exit(1)
		}
		for {
			l.Accept()
		}
	case "dial":
		if _, err := net.DialTimeout("tcp", address, time.Second); err != nil {
			os.Exit(1)
		}
	}
}

// on runs this program on a host.
func on(h *Host, action string) *exec.Cmd {
	cmd := h.Command(os.Args[0])
	cmd.Env = append(os.Environ(), netVariable+"="+action)
	return cmd
}

// reaches reports whether one host gets a connection to another, which listens.
func reaches(t *testing.T, from, to *Host) bool {
	t.Helper()
	server := on(to, "listen "+to.Address+":7000")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { server.Process.Kill(); server.Wait() }()
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if on(from, "dial "+to.Address+":7000").Run() == nil {
			return true
		}
	}
	return false
}

func available(t *testing.T) {
	t.Helper()
	if err := Available(); err != nil {
		t.Skipf("CANNOT RUN: hosts in network namespaces: %v", err)
	}
}

// TestTwoNetworks: faults do what they say, and two networks side by side have nothing to do with
// each other.
func TestTwoNetworks(t *testing.T) {
	available(t)
	var networks []*Network
	for range 2 {
		n, err := New(t.TempDir(), 2)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
			if left := leftovers(t, n); left != "" {
				t.Errorf("left behind: %s", left)
			}
		}()
		networks = append(networks, n)
	}
	n := networks[0]
	a, b := n.Hosts[0], n.Hosts[1]
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want bool) {
		t.Helper()
		if got := reaches(t, a, b); got != want {
			t.Errorf("%s: a reaches b: %t, want %t", what, got, want)
		}
	}
	expect("at first", true)
	must(n.Cut(a, b))
	expect("cut", false)
	must(n.Heal(a, b))
	expect("healed", true)
	must(n.Unplug(b))
	expect("unplugged", false)
	must(n.Plug(b))
	expect("plugged in", true)
	must(n.Slow(b, 1<<20))
	expect("slow", true)
	must(n.Slow(b, 0))
	other := networks[1]
	if !reaches(t, other.Hosts[0], other.Hosts[1]) {
		t.Error("the other network does not work")
	}
}

// leftovers names what is left of a network.
func leftovers(t *testing.T, n *Network) string {
	t.Helper()
	var left []string
	for _, h := range n.Hosts {
		if _, err := os.Stat(h.namespacePath()); err == nil {
			left = append(left, "namespace "+h.namespace)
		}
		mounts, err := os.ReadFile("/proc/mounts")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(mounts), filepath.Join(h.Dir, "btrfs")) {
			left = append(left, "mount of "+h.Name)
		}
	}
	if _, err := net.InterfaceByName(n.bridge.Name); err == nil {
		left = append(left, "bridge "+n.bridge.Name)
	}
	return strings.Join(left, ", ")
}

const diesVariable = "DROVER_HOSTS_TEST_DIES"

// TestAProcessThatDies leaves nothing behind: it is killed in the middle of its work.
func TestAProcessThatDies(t *testing.T) {
	if dir := os.Getenv(diesVariable); dir != "" {
		n, err := New(dir, 2)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("bridge " + n.bridge.Name + "\n")
		time.Sleep(time.Minute)
		return
	}
	available(t)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=TestAProcessThatDies")
	cmd.Env = append(os.Environ(), diesVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	name, made := strings.CutPrefix(strings.TrimSpace(line), "bridge ")
	if !made {
		t.Fatalf("it said %q, %v", line, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	n := &Network{bridge: bridge.Bridge{Name: name}, Hosts: []*Host{{Dir: filepath.Join(dir, "a"), namespace: name + "a"}, {Dir: filepath.Join(dir, "b"), namespace: name + "b"}}}
	left := "not looked"
	for deadline := time.Now().Add(30 * time.Second); left != "" && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		left = leftovers(t, n)
	}
	if left != "" {
		t.Errorf("left behind: %s", left)
	}
}
