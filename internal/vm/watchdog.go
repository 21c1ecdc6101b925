package vm

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
)

// watchdogScript waits until whoever holds the other end of its input says that everything has been
// taken away, or ends without a word, however that came about. Then it takes away what it can.
const watchdogScript = `read -r word && [ "$word" = done ] && exit 0
dir=$1; shift
for pidfile in "$dir"/*/qemu.pid; do
  pid=$(cat "$pidfile") || continue
  grep -qF "$pidfile" "/proc/$pid/cmdline" && kill -9 "$pid"
done
for program in /proc/[0-9]*/exe; do
  [ "$(readlink "$program")" = "$dir/on" ] || continue
  pid=${program#/proc/}; kill -9 "${pid%/exe}"
done
sleep 0.5
for device in "$@"; do ip link delete "$device"; done
rm -rf "$dir"
`

// A watchdog takes a network away when this process can't any more: killed, timed out, interrupted.
type watchdog struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

func (n *Network) startWatchdog() error {
	args := []string{"-c", watchdogScript + n.bridge.RemoveScript(), "sh", n.dir}
	for _, h := range n.Hosts {
		args = append(args, h.link, h.control)
	}
	cmd := exec.Command("sh", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the watchdog: %w", err)
	}
	n.watchdog = &watchdog{cmd, in}
	return nil
}

// dismiss tells the watchdog that nothing is left for it to do.
func (w *watchdog) dismiss() error {
	if w == nil {
		return nil
	}
	_, err := io.Copy(w.in, strings.NewReader("done\n"))
	return errors.Join(err, w.in.Close(), w.cmd.Wait())
}
