#!/bin/sh
# Turns the namespaces that it is started in into a machine of its own, and becomes its systemd.
# machine.py starts it so; by hand it would change the host's mounts.
# usage: machine.sh ROOT [SHARED]   ROOT is read, never written; SHARED is the same folder inside and outside.
set -eu
root=$1 shared=${2:-}

mount --make-rprivate /
mount -t tmpfs -o mode=755 wharfinger-machine /run
mkdir /run/written /run/work /run/machine
mount -t overlay -o "lowerdir=$root,upperdir=/run/written,workdir=/run/work" wharfinger-machine /run/machine
cd /run/machine

# What nobody wants is not started: that is the difference between 0.6 and 6 seconds.
find etc/systemd/system usr/lib/systemd/system -path '*.wants/*' -type l \
    ! -name dbus.socket ! -name 'systemd-journald*' ! -name systemd-tmpfiles-setup.service -delete
ln -sfn /usr/lib/systemd/system/multi-user.target etc/systemd/system/default.target
echo 0123456789abcdef0123456789abcdef >etc/machine-id
: >etc/fstab

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
    mkdir -p $place
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
