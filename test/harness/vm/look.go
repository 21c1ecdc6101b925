package vm

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"sync"
)

// A looker is a program on a host that answers who writes to volumes there: to start one for each
// question would cost the host more than the answer.
type looker struct {
	asking sync.Mutex
	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	off    bool
}

// Writers returns, for each application with a volume, its processes that live on the host; nothing
// when the host is off. See writers.Here.
func (h *Host) Writers() map[string][]string {
	l := &h.look
	l.asking.Lock()
	defer l.asking.Unlock()
	var found map[string][]string
	in, out, err := l.start(h)
	if err == nil {
		if _, err = in.Write([]byte("\n")); err == nil {
			var line []byte
			if line, err = out.ReadBytes('\n'); err == nil {
				err = json.Unmarshal(line, &found)
			}
		}
	}
	if err != nil {
		l.stop() // the host is off, or about to be
		return nil
	}
	return found
}

// start starts the program unless it runs.
func (l *looker) start(h *Host) (io.Writer, *bufio.Reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off {
		return nil, nil, io.ErrClosedPipe
	}
	if l.cmd != nil {
		return l.in, l.out, nil
	}
	cmd := h.Command("/run/on", "-writers", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	l.cmd, l.in, l.out = cmd, in, bufio.NewReader(out)
	return l.in, l.out, nil
}

func (l *looker) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cmd != nil {
		_ = l.cmd.Process.Kill()
		_ = l.cmd.Wait()
	}
	l.cmd = nil
}

// power says whether the host is on. Who waits for an answer when it goes off gets none.
func (l *looker) power(on bool) {
	l.mu.Lock()
	l.off = !on
	l.mu.Unlock()
	if !on {
		l.stop()
	}
}
