#!/bin/sh
# What a host does when systemd is up: network, ZFS with the pool on the second disk, Docker, and what
# runs commands. What it needs to know is on the kernel's command line.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
for word in $(cat /proc/cmdline); do
  case $word in vm_*=*) export "${word?}" ;; esac
done
hostname "$vm_name"
ip link set lo up
ip address add "$vm_control" peer "$vm_here" dev eth1
ip link set eth1 up
ip address add "$vm_address/24" dev eth0
ip link set eth0 up
ip route add default via "$vm_gateway"
/run/on -serve "$vm_control:$vm_port" >/dev/console 2>&1 &
modprobe zfs zfs_arc_max=134217728
zpool import -f -d /dev/vdb1 tank 2>/dev/null || zpool create -O mountpoint=/tank -O atime=off -O compression=lz4 tank /dev/vdb1
systemctl start --no-block engine.service
wait
