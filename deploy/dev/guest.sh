#!/bin/sh
# Boots a kernel of its own (User-Mode Linux) from a private view of the userland.
# guest.py starts it in namespaces of its own; by hand it would change the host's mounts.
# usage: guest.sh ROOT JOB PACKAGES TREE SHIM [KERNEL'S ARGUMENTS ...]
#   JOB       the folder of the one job: `run` in it is run, what it leaves there stays; the guest's /job
#   PACKAGES  Python's, for the guest's Python; the guest's /packages
#   TREE      the guest has it too, to be read, at the same path
#   SHIM      a library for UML to be loaded with
# What the job says to /dev/ttyS0 goes to file descriptor 3.
set -eu
. "$(dirname "$0")/root.sh"
lay_root "$1" wharfinger-guest
job=$2 packages=$3 tree=$4 shim=$5
shift 5

mkdir -p usr/lib/modules job packages ".$tree"
mount --bind "$job" job
for place in "$packages:packages" "$tree:.$tree"; do
    mount --bind "${place%%:*}" "${place#*:}"
    mount -o remount,bind,ro "${place#*:}"
done
cp -a /usr/lib/uml/modules/* usr/lib/modules/ # the kernel's, and the root has no kmod
ln -sfn ../bin/busybox usr/sbin/modprobe
printf '%s\n' 'tmpfs /var/lib/docker tmpfs' 'tmpfs /var/lib/containerd tmpfs' >etc/fstab
ln -s /job/daemon.json etc/docker/daemon.json
mkdir -p etc/systemd/system/multi-user.target.wants
ln -s ../job.service etc/systemd/system/multi-user.target.wants/
cat >etc/systemd/system/job.service <<'UNIT'
[Unit]
Wants=docker.service dbus.socket
After=docker.service dbus.socket
[Service]
Type=exec
ExecStart=/bin/sh /job/run
UNIT

truncate -s 256M /run/disk
truncate -s 512M /run/swap
mkswap --quiet /run/swap
export HOME=/run TMPDIR=/run LD_PRELOAD="$shim"
exec linux.uml mem=2G ubd0=/run/disk ubd1=/run/swap root=/dev/root rootfstype=hostfs rootflags=/run/machine rw \
    con=null con0=null,fd:1 ssl=null ssl0=null,fd:3 console=tty0 \
    quiet audit=0 selinux=0 systemd.show_status=0 "$@"
