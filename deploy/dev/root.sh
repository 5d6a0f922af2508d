# shellcheck shell=sh
# For machine.sh and guest.sh, in a mount namespace of their own: a root that systemd boots from in a second.

# lay_root ROOT NAME: /run/machine is a view of ROOT that can be written to; what is written stays in memory.
# NAME is what its mounts are called. /run is covered; the host's must not be needed any more.
lay_root() {
    mount --make-rprivate /
    mount -t tmpfs -o mode=755 "$2" /run
    mkdir /run/written /run/work /run/machine
    mount -t overlay -o "lowerdir=$1,upperdir=/run/written,workdir=/run/work" "$2" /run/machine
    cd /run/machine

    # What nobody here wants is not started.
    find etc/systemd/system usr/lib/systemd/system -path '*.wants/*' -type l \
        ! -name dbus.socket ! -name 'systemd-journald*' ! -name systemd-tmpfiles-setup.service -delete
    ln -sfn /usr/lib/systemd/system/multi-user.target etc/systemd/system/default.target
    echo 0123456789abcdef0123456789abcdef >etc/machine-id
    : >etc/fstab

    # Debian's docker.service is woken by its socket, and by systemd after a crash: here others decide that.
    mkdir -p etc/docker var/lib/docker var/lib/containerd
    cat >etc/systemd/system/docker.service <<'UNIT'
[Unit]
Wants=containerd.service
After=containerd.service
[Service]
Type=notify
ExecStart=/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock
Delegate=yes
KillMode=process
UNIT
}
