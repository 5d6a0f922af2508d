#!/bin/sh
# Turns the namespaces that it is started in into a machine of its own, and becomes its systemd.
# machine.py starts it so; by hand it would change the host's mounts.
# usage: machine.sh ROOT [SHARED]   ROOT is read, never written; SHARED is the same folder inside and outside.
set -eu
. "$(dirname "$0")/root.sh"
lay_root "$1" wharfinger-machine
shared=${2:-}

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
    : >dev/$node
    mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for place in run tmp var/lib/docker var/lib/containerd; do # an overlay cannot carry the Engine's overlays
    mount -t tmpfs tmpfs $place
done
if [ "$shared" ]; then
    mkdir -p ".$shared"
    mount --bind "$shared" ".$shared"
fi

pivot_root . mnt
cd /
umount -l /mnt
exec env -i container=wharfinger PATH=/usr/sbin:/usr/bin /usr/lib/systemd/systemd --log-target=console
