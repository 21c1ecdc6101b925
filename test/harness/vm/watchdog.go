package vm

import "github.com/drover/drover/test/harness/watchdog"

// watchdogScript takes away what it can.
const watchdogScript = `dir=$1; shift
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

func (n *Network) startWatchdog() (err error) {
	args := []string{n.dir}
	for _, h := range n.Hosts {
		args = append(args, h.link, h.control)
	}
	n.watchdog, err = watchdog.Start(watchdogScript+n.bridge.RemoveScript(), args...)
	return err
}
