package main

import (
	"net"
	"os"
	"strings"
	"testing"
)

// TestAClusterThatDoesNotStartLeavesNothing: the directory that was to be temporary goes, whatever the
// reason.
func TestAClusterThatDoesNotStartLeavesNothing(t *testing.T) {
	for _, args := range [][]string{{"dev", "--nodes", "0"}, {"dev", "--listen", "192.0.2"}, {"dev", "--listen", "foo"}, {"demo", "--nodes", "27"}} {
		dir := t.TempDir()
		t.Setenv("TMPDIR", dir)
		err := run(t.Context(), args, stdio{strings.NewReader(""), &output{}, &output{}})
		left, _ := os.ReadDir(dir)
		if err == nil || len(left) != 0 {
			t.Errorf("drover %q: %v; it leaves %v", args, err, left)
		}
		if args[len(args)-1] == "foo" && exitCode(err) != 3 {
			t.Errorf("drover %q: %v: it ends with %d, want 3", args, err, exitCode(err))
		}
	}
}

// TestAServiceThatCannotListenMakesNothing: neither an authority nor a store.
func TestAServiceThatCannotListenMakesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for address, code := range map[string]int{"foo": 3, "127.0.0.1:port": 3, taken.Addr().String(): 1} {
		dir := t.TempDir()
		err := run(t.Context(), []string{"control", "--data", dir + "/data", "--pki", dir + "/pki", "--listen", address},
			stdio{strings.NewReader(""), &output{}, &output{}})
		left, _ := os.ReadDir(dir)
		if exitCode(err) != code || len(left) != 0 {
			t.Errorf("drover control --listen %s: %v, exit code %d, want %d; it leaves %v", address, err, exitCode(err), code, left)
		}
	}
}
