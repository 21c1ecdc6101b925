#!/bin/busybox sh
# The first process of the guest that tests run in: it makes what a program expects of a system, loads
# ZFS, runs one program and reports how it ended.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs -o mode=1777,size=80% tmp /mnt
cp -a /tmp/. /mnt # the program's directory may be there
mount --move /mnt /tmp
mount -t tmpfs run /run
ln -s /proc/self/fd /dev/fd
ln -s /proc/mounts /etc/mtab
hostname guest
ip link set lo up
while read -r module; do
  case $module in
    */zfs.ko) insmod "$module" zfs_arc_max=268435456 ;;
    *) insmod "$module" ;;
  esac || echo "cannot load $module"
done </modules
while ! [ -c /dev/vport0p3 ]; do sleep 0.02; done
sh /program >/dev/vport0p1 2>/dev/vport0p2 </dev/null
echo $? >/dev/vport0p3
poweroff -f
