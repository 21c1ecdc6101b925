// Package watchdog cleans up after a process that can't any more: killed, timed out, interrupted.
//
//	w, err := watchdog.Start(`ip link delete "$1"`, device)
//	defer w.Dismiss() // when everything has been taken away in order
//
//	this process --- pipe ---> sh: waits for a word, or for the end of the pipe
package watchdog

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
)

// wait ends the shell at the word of whoever holds the other end of its input; if that ends without a
// word, however that came about, what follows is run.
const wait = `read -r word && [ "$word" = done ] && exit 0
`

// A Watchdog is a shell that waits. Use Start; a nil one has nothing to do.
type Watchdog struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// Start starts a shell that runs script with args if this process ends before Dismiss.
func Start(script string, args ...string) (*Watchdog, error) {
	cmd := exec.Command("sh", append([]string{"-c", wait + script, "sh"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &Watchdog{cmd, in}, nil
}

// Dismiss says that nothing is left to do.
func (w *Watchdog) Dismiss() error {
	if w == nil {
		return nil
	}
	_, err := io.Copy(w.in, strings.NewReader("done\n"))
	return errors.Join(err, w.in.Close(), w.cmd.Wait())
}
