#!/bin/busybox sh
# The first process of a host, in memory: it loads the drivers of the disks and goes over to the
# system on the first of them, with systemd, which is told there what a host is for.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "$module"; done </modules
while ! [ -b /dev/vda ]; do sleep 0.02; done
mount -t ext4 -o noatime /dev/vda /mnt
mount --move /proc /mnt/proc
mount --move /sys /mnt/sys
mount --move /dev /mnt/dev
mount -t tmpfs -o mode=755 run /mnt/run
cp /system /on /mnt/run/
mkdir -p /mnt/run/systemd
cp -r /units /mnt/run/systemd/system
[ -s /mnt/etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/mnt/etc/machine-id
exec switch_root /mnt /lib/systemd/systemd
