package hosts

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
for host in "$@"; do
  namespace=${host%%=*} dir=${host#*=}
  for try in 1 2 3 4 5 6 7 8 9 10; do
    pids=$(ip netns pids "$namespace"; cat $(find /sys/fs/cgroup/*/"$namespace" /sys/fs/cgroup/"$namespace" -name cgroup.procs 2>/dev/null) /dev/null)
    [ -z "$pids" ] && break
    kill -9 $pids 2>/dev/null
    sleep 0.2
  done
  ip netns delete "$namespace"
  umount -l "$dir/btrfs"
  rm -rf "$dir" "/run/$namespace"
  for root in /sys/fs/cgroup/*/"$namespace" /sys/fs/cgroup/"$namespace"; do
    [ -d "$root" ] && find "$root" -depth -type d -exec rmdir {} +
  done
done
`

// A watchdog takes a network away when this process can't any more: killed, timed out, interrupted.
type watchdog struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

func (n *Network) startWatchdog() error {
	args := []string{"-c", watchdogScript + n.bridge.RemoveScript(), "sh"}
	for _, h := range n.Hosts {
		args = append(args, h.namespace+"="+h.Dir)
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
