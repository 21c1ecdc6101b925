package fault_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/drover/drover/internal/fault"
)

func TestPoint(t *testing.T) {
	if os.Getenv("DROVER_FAULT_TEST") != "" {
		fault.Point("another")
		os.Stdout.WriteString("passed another\n")
		fault.Point("here")
		os.Stdout.WriteString("passed here\n")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=TestPoint")
	cmd.Env = append(os.Environ(), "DROVER_FAULT_TEST=1", fault.Variable+"=here")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(exit.String(), "killed") {
		t.Errorf("it ended with %v", err)
	}
	if !strings.Contains(string(out), "passed another") || strings.Contains(string(out), "passed here") {
		t.Errorf("it got as far as %q", out)
	}
}
