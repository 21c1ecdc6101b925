package vm

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// finish runs a command to its end; what it said is in the error.
func finish(cmd *exec.Cmd) error {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, tail(said.Bytes()))
	}
	return nil
}

// lines returns the lines of a program's output.
func lines(b []byte) []string { return strings.Fields(string(b)) }

// tail returns the last lines of a text, for an error message.
func tail(b []byte) string {
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-20):], "\n")
}
