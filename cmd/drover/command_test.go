package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/pki"
)

// everyCommand calls a function with the path of each command, "" for drover itself.
func everyCommand(f func(path []string, c *cobra.Command)) {
	var visit func(path []string, c *cobra.Command)
	visit = func(path []string, c *cobra.Command) {
		f(path, c)
		for _, below := range c.Commands() {
			visit(append(path[:len(path):len(path)], below.Name()), below)
		}
	}
	visit(nil, newRoot(stdio{}))
}

// TestEveryHelpHasTheExitCodes, those that scripts count on.
func TestEveryHelpHasTheExitCodes(t *testing.T) {
	everyCommand(func(path []string, _ *cobra.Command) {
		if out := drover(t, nil, append(path, "--help")...); strings.Count(out, exitCodes) != 1 {
			t.Errorf("drover %s --help says\n%s", strings.Join(path, " "), out)
		}
	})
	for _, err := range []error{nil, errChanges, context.Canceled, context.DeadlineExceeded, cluster.ErrInvalid, cluster.ErrNotFound,
		cluster.ErrUnsupported, cluster.ErrUnavailable, cluster.ErrConflict, cluster.ErrRefused, os.ErrNotExist} {
		if line := fmt.Sprintf("\n  %-5d", exitCode(err)); !strings.Contains(exitCodes, line) {
			t.Errorf("%v: exit code %d is not explained", err, exitCode(err))
		}
	}
}

// TestACallThatIsNotValidIsToldAsThat: what is wrong with it, what would be right, exit code 3.
func TestACallThatIsNotValidIsToldAsThat(t *testing.T) {
	for _, row := range []struct{ args, want string }{
		{"move db", "drover: drover move takes 2 arguments, and got 1\nhint: the command is: drover move APPLICATION NODE [flags]; or one of: drover move abort|ls|watch\n"},
		{"move wtch", "drover: drover move takes 2 arguments, and got 1\nhint: did you mean: drover move watch\n"},
		{"move ls a b", "drover: drover move ls takes 1 argument, and got 2\nhint: the command is: drover move ls [NAME] [flags]\n"},
		{"control foo", "drover: there is no command drover control foo\nhint: the commands of drover control are: accept, backup, restore\n"},
		{"control acept", "drover: there is no command drover control acept\nhint: did you mean: drover control accept\n"},
		{"deploy no.yml no.yml", "drover: read application file: open no.yml: no such file or directory\nread deployment file: open no.yml: no such file or directory\n"},
		{"control restore no", "drover: open no: no such file or directory\n"},
		{"demo --clients 0", "drover: invalid argument \"0\" for \"--clients\" flag: want 1 or more\nhint: its flags are listed by: drover demo --help\n"},
		{"agent --rate-limit -1", "drover: invalid argument \"-1\" for \"--rate-limit\" flag: want 0 or more\nhint: its flags are listed by: drover agent --help\n"},
		{"node inspect", "drover: drover node inspect takes 1 argument, and got 0\nhint: the command is: drover node inspect NODE [flags]\n"},
		{"status --nope", "drover: unknown flag: --nope\nhint: its flags are listed by: drover status --help\n"},
		{"status -o yaml", "drover: output format \"yaml\": want text or json\n"},
		{"snapshot create1 db x", "drover: there is no command drover snapshot create1\nhint: did you mean: drover snapshot create\n"},
		{"stats", "drover: there is no command drover stats\nhint: did you mean: drover status\n"},
		{"nonsense", "drover: there is no command drover nonsense\nhint: drover --help lists the commands\n"},
	} {
		var said strings.Builder
		err := run(t.Context(), strings.Fields(row.args), stdio{strings.NewReader(""), &strings.Builder{}, &said})
		if code := exitCode(err); code != 3 || said.String() != row.want {
			t.Errorf("drover %s: exit status %d, said\n%swant\n%s", row.args, code, said.String(), row.want)
		}
	}
}

// TestNoTimeAndNoCountIsLessThanNone: of whatever command.
func TestNoTimeAndNoCountIsLessThanNone(t *testing.T) {
	checked := 0
	everyCommand(func(path []string, c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			less := map[string]string{"duration": "-1s", "int": "-1", "int64": "-1", "float64": "-1"}[f.Value.Type()]
			if less == "" {
				return
			}
			checked++
			if err := f.Value.Set(less); err == nil {
				t.Errorf("drover %s takes --%s %s", strings.Join(path, " "), f.Name, less)
			}
			if err := f.Value.Set(strings.TrimPrefix(less, "-")); err != nil || f.DefValue == "" {
				t.Errorf("drover %s --%s, usually %q: %v", strings.Join(path, " "), f.Name, f.DefValue, err)
			}
		})
	})
	if checked < 15 {
		t.Errorf("only %d flags have a number", checked)
	}
}

// TestTheAuthorityHasOneName, and its former one goes on working.
func TestTheAuthorityHasOneName(t *testing.T) {
	authority := t.TempDir()
	if _, err := pki.Init(authority, "c"); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--authority", "--pki"} {
		drover(t, nil, "node", "add", filepath.Join(t.TempDir(), "n"), flag, authority)
	}
	if help := drover(t, nil, "node", "add", "--help"); !strings.Contains(help, "      --authority") || strings.Contains(help, "      --pki") {
		t.Errorf("help says\n%s", help)
	}
}

// TestEveryCommandIsMadeInOneWay: of its options and a function that runs it, named like them.
func TestEveryCommandIsMadeInOneWay(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`(?s)func new(\w+)\(io_ stdio\) \*cobra\.Command \{\n(.*?)\n\}`)
	run := regexp.MustCompile(`&o, run(\w+)|\bOptions\{io_\}, run(\w+)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") || file == "command.go" {
			continue
		}
		if strings.Contains(string(text), "RunE:") || strings.Contains(string(text), "Run:") {
			t.Errorf("%s runs a command by itself: see command.go", file)
		}
		for _, m := range made.FindAllStringSubmatch(string(text), -1) {
			if call := run.FindStringSubmatch(m[2]); call != nil && call[1]+call[2] != m[1] {
				t.Errorf("%s: new%s runs run%s", file, m[1], call[1]+call[2])
			}
		}
	}
}
