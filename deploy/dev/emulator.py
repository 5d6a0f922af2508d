"""Knows how to have QEMU and a kernel for it: Debian 13's packages, in a layer above the userland.

It refuses to change the userland. Made once below `.dev`, the layer is used again; a making that was
interrupted begins anew.
"""

import shutil
from pathlib import Path

from deploy.dev import host

PACKAGES = ("qemu-system-x86", "virtiofsd", "linux-image-cloud-amd64", "kmod")
DEADLINE = 600.0
INSTALL = """
set -eu
cd "$1"
mount -t overlay -o "lowerdir=$2,upperdir=$1/layer,workdir=$1/work" overlay root
cd root
mount -t proc proc proc
mount --bind /dev dev
cp -L /etc/resolv.conf etc/resolv.conf
shift 2
export DEBIAN_FRONTEND=noninteractive INITRD=No
chroot . apt-get -q update
chroot . apt-get -y -q install --no-install-recommends "$@"
chroot . apt-get clean
rm -rf var/lib/apt/lists/* etc/resolv.conf
"""


def ensure(place: Path, root: Path) -> Path:
    """The layer; the caller lays it above the root.

    Args:
        place: where it is, or is to be.
        root: the userland, from `userland.ensure`.

    Raises:
        SetupError: it cannot be made; the message has the end of what apt-get said.
    """
    with host.exclusive(place.with_name(f"{place.name}.lock"), DEADLINE):
        if not place.is_dir():
            print("fetching QEMU and a kernel for guests", flush=True)
            unfinished = place.with_name(f"{place.name}.new")
            shutil.rmtree(unfinished, ignore_errors=True)
            for part in ("layer", "work", "root"):
                (unfinished / part).mkdir(parents=True)
            private = ["unshare", "--mount", "--propagation", "private", "sh", "-c", INSTALL, "sh"]
            host.call(*private, str(unfinished), str(root), *PACKAGES, timeout=DEADLINE)
            (unfinished / "layer").rename(place)
            shutil.rmtree(unfinished)
    return place
