package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// A trial is one run of the tests on a copy of the tree, which may have a bug in it.
type trial struct {
	dir      string // of the copy
	packages []string
	seeds    int
}

// patience bounds one run of tests: a bug may have them wait for ever.
const patience = 5 * time.Minute

// copyTree copies the tree, without what git and make keep in it.
func copyTree(to string) error {
	entries, err := os.ReadDir(".")
	for _, e := range entries {
		name := e.Name()
		switch {
		case err != nil || name == ".git" || name == "bin":
		case e.IsDir():
			err = os.CopyFS(filepath.Join(to, name), os.DirFS(name))
		case e.Type().IsRegular():
			var text []byte
			if text, err = os.ReadFile(name); err == nil {
				err = os.WriteFile(filepath.Join(to, name), text, 0o600)
			}
		}
	}
	return err
}

// run returns the test or the seed that fails; empty: none does.
func (t trial) run(ctx context.Context) (by string, err error) {
	for _, folder := range t.packages {
		if by, err := t.unit(ctx, folder); by != "" || err != nil {
			return by, err
		}
	}
	return t.simulate(ctx)
}

// unit runs the unit tests of a package. A test that fails must do so again, alone: what comes and goes with
// the load of the machine has not noticed anything.
func (t trial) unit(ctx context.Context, folder string) (string, error) {
	binary, err := t.build(ctx, folder)
	if err != nil {
		return "", err
	}
	tests := func(more ...string) (string, error) {
		return t.command(ctx, folder, binary, append(more, "-test.failfast", "-test.timeout="+(patience/2).String())...)
	}
	for range 3 {
		out, err := tests()
		if err == nil {
			return "", nil
		}
		by := failure(out)
		test, _, _ := strings.Cut(by, "/")
		if !strings.HasPrefix(test, "Test") {
			test = ""
		}
		if _, again := tests("-test.run=^" + test + "$"); again != nil || test == "" {
			return fmt.Sprintf("%s (%s)", by, folder), verdict(ctx, err)
		}
	}
	return "", nil
}

// build makes the binary of a package's tests. Where the copy is makes no difference to the compiler, which
// so finds most of its work done.
func (t trial) build(ctx context.Context, folder string) (string, error) {
	binary := filepath.Join(t.dir, strings.ReplaceAll(folder, "/", "-")+".test")
	if out, err := t.command(ctx, ".", "go", "test", "-trimpath", "-c", "-vet=off", "-o", binary, "./"+folder); err != nil {
		return "", fmt.Errorf("it does not compile: %w\n%s", err, out)
	}
	return binary, nil
}

// simulate runs seeds of the simulated cluster, few at first: most bugs are found by one of those.
func (t trial) simulate(ctx context.Context) (string, error) {
	if t.seeds == 0 {
		return "", nil
	}
	binary, err := t.build(ctx, "test/sim")
	if err != nil {
		return "", err
	}
	for from, n := 1, 20; from <= t.seeds; from, n = from+n, 2*n {
		out, err := t.command(ctx, "test/sim", binary, "-test.run=^TestSim$", "-sim.workers=1",
			fmt.Sprint("-sim.seed=", from), fmt.Sprint("-sim.seeds=", min(n, t.seeds-from+1)))
		if err != nil {
			return failure(out), verdict(ctx, err)
		}
	}
	return "", nil
}

// verdict is nil if what failed are tests.
func verdict(ctx context.Context, err error) error {
	var exit *exec.ExitError
	if ctx.Err() == nil && errors.As(err, &exit) {
		return nil
	}
	return err
}

// command runs a program in a folder of the copy, with all that it starts, for no longer than the patience.
func (t trial) command(ctx context.Context, folder, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = filepath.Join(t.dir, folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		out = fmt.Appendf(out, "panic: no end after %s\n", patience)
	}
	return string(out), err
}

var (
	breach = regexp.MustCompile(`(?m)^\s*(seed \d+), after \d+ steps: (.*)`)
	failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	broken = regexp.MustCompile(`(?m)^(panic|fatal error): .*`)
)

// failure returns what failed first, by the output of the tests: a seed, the innermost test, or a panic.
func failure(out string) string {
	if m := breach.FindStringSubmatch(out); m != nil {
		return fmt.Sprintf("%s: %.120s", m[1], m[2])
	}
	name := ""
	for _, m := range failed.FindAllStringSubmatch(out, -1) {
		if strings.HasPrefix(m[1], name) {
			name = m[1]
		}
	}
	if name != "" {
		return name
	}
	if what := broken.FindString(out); what != "" {
		return fmt.Sprintf("%.120s", what)
	}
	return "what the tests say: " + out
}
