package hosts

import "github.com/drover/drover/test/harness/watchdog"

// watchdogScript takes away what it can.
const watchdogScript = `for host in "$@"; do
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

func (n *Network) startWatchdog() (err error) {
	var args []string
	for _, h := range n.Hosts {
		args = append(args, h.namespace+"="+h.Dir)
	}
	n.watchdog, err = watchdog.Start(watchdogScript+n.bridge.RemoveScript(), args...)
	return err
}
