#!/bin/sh
# Boots a kernel of its own from a private view of the userland.
# guest.py starts it in namespaces of its own; by hand it would change the host's mounts.
# usage: guest.sh VM ROOT JOB PACKAGES TREE SHIM [KERNEL'S ARGUMENTS ...]
#   VM        uml: User-Mode Linux, the host's program, one processor; qemu: QEMU of ROOT, without KVM, two
#   ROOT      what the guest is a view of; folders with a colon between them lie one above the other
#   JOB       the folder of the one job: `run` in it is run, what it leaves there stays; the guest's /job
#   PACKAGES  Python's, for the guest's Python; the guest's /packages
#   TREE      the guest has it too, to be read, at the same path
#   SHIM      a library for UML to be loaded with
# What the job says to /dev/ttyS0 goes to file descriptor 3.
set -eu
. "$(dirname "$0")/root.sh"
vm=$1 root=$2 job=$3 packages=$4 tree=$5 shim=$6
shift 6
lay_root "$root" wharfinger-guest

mkdir -p job packages ".$tree"
mount --bind "$job" job
for place in "$packages:packages" "$tree:.$tree"; do
    mount --bind "${place%%:*}" "${place#*:}"
    mount -o remount,bind,ro "${place#*:}"
done
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
quiet="quiet audit=0 selinux=0 systemd.show_status=0"

if [ "$vm" = uml ]; then
    mkdir -p usr/lib/modules
    cp -a /usr/lib/uml/modules/* usr/lib/modules/ # the kernel's, and the root has no kmod
    ln -sfn ../bin/busybox usr/sbin/modprobe
    export HOME=/run TMPDIR=/run LD_PRELOAD="$shim"
    # shellcheck disable=SC2086 # words
    exec linux.uml mem=2G ubd0=/run/disk ubd1=/run/swap root=/dev/root rootfstype=hostfs \
        rootflags=/run/machine rw con=null con0=null,fd:1 ssl=null ssl0=null,fd:3 console=tty0 $quiet "$@"
fi

mount --bind usr /usr # from here on, the root's programs and libraries
/usr/libexec/virtiofsd --socket-path=/run/files --shared-dir=/run/machine --sandbox=none --cache=always \
    --announce-submounts &
while ! [ -S /run/files ]; do sleep 0.05; done
set -- -append "root=files rootfstype=virtiofs rw console=ttyS1 mitigations=off nokaslr panic=-1 $quiet $*"
exec qemu-system-x86_64 -M q35,memory-backend=memory -accel tcg,thread=multi,tb-size=512 -cpu Nehalem-v1 \
    -smp 2 -m 2G -object memory-backend-memfd,id=memory,size=2G,share=on \
    -nodefaults -no-user-config -display none -no-reboot -kernel boot/vmlinuz-* "$@" \
    -chardev socket,id=files,path=/run/files -device vhost-user-fs-pci,chardev=files,tag=files \
    -drive if=none,id=disk,file=/run/disk,format=raw -device nvme,drive=disk,serial=disk \
    -drive if=none,id=swap,file=/run/swap,format=raw -device nvme,drive=swap,serial=swap \
    -device virtio-rng-pci -chardev file,id=said,path=/dev/fd/3 -serial chardev:said -serial stdio
