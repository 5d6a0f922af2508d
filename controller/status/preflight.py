"""Judges whether a host is fit for a controller: each finding ok, warn or fail, with the remedy.

Refuses to look: the facts are given, and what is not among them is not judged.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from controller.api.config import GpuAttach
from controller.model.gpus import GpuView
from controller.model.observed import Unseen
from controller.model.preflight import EngineFacts, Files, GpuFacts, Place, PoolUse, Preflight, Toolkit
from controller.status import slicechecks, wording
from controller.status.checks import Check, Level, fail, ok, warn

OLDEST_API: Final = (1, 41)
SAFE_TOOLKIT: Final = (1, 17, 8)
"""Version of the NVIDIA Container Toolkit before which an image could escape."""
_NETWORKED: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"}
)
"""File systems on which locks and durable writes cannot be relied upon."""
_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
_GOOD_STORAGE: Final = frozenset({"overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs"})
_BY_GROUP, _BY_OTHERS = 0o020, 0o002
"""Who else may write: bits of a mode."""
_CROWDED: Final = 0.8
"""Share of a pool's blocks from which on it is nearly full."""
_ENGINE_DISK: Final = "Docker's disk"
_SCARCE, _EXHAUSTED = 0.10, 0.03
"""Shares of free disk below which there is a warning, and a failure."""


def judge(facts: Preflight) -> tuple[Check, ...]:
    """All findings, in the order in which a person would mend them."""
    return tuple(_judge(facts))


def _judge(facts: Preflight) -> Iterator[Check]:
    if facts.uid != 0:
        yield warn("user", f"asked as uid {facts.uid}, who sees only a part", "ask as root")
    yield from _engine(facts.engine)
    if not isinstance(facts.engine, Unseen):
        yield ok("controller", facts.holder or "none has this Engine")
        yield from _security(facts.engine, facts.nested_runtime)
    if facts.slices is not None and not isinstance(facts.engine, Unseen):
        yield from slicechecks.judge(facts.slices, facts.engine)
    yield from _files(facts.files, facts.high_watermark)
    if facts.gpus is not None:
        found = _gpus(facts.gpus, None if isinstance(facts.engine, Unseen) else facts.engine)
        is_simulated = not isinstance(facts.gpus.view, Unseen) and facts.gpus.view.simulated
        yield from map(_simulated, found) if is_simulated else found
    yield (
        fail("policy", facts.policy, "mend it; `wharf validate` tells more")
        if facts.policy
        else ok("policy", "policy and catalog are valid, or absent")
    )
    if facts.ledger:
        yield fail("ledger", facts.ledger, "")
    yield from map(_pool, facts.pools)


def _engine(engine: EngineFacts | Unseen) -> Iterator[Check]:
    if isinstance(engine, Unseen):
        yield fail("engine", engine.message, "start the Engine, or correct docker.host")
        return
    api = ".".join(map(str, engine.api_version))
    if engine.api_version < OLDEST_API:
        yield fail("engine", f"{engine.version} speaks API {api}", "install 20.10 or newer (API 1.41)")
    else:
        yield ok("engine", f"{engine.version}, API {api}")
    if engine.live_restore:
        yield ok("live restore", "workspaces go on while the Engine is restarted")
    else:
        remedy = 'set "live-restore": true in /etc/docker/daemon.json and reload the Engine'
        yield warn("live restore", "off: a restart of the Engine stops every workspace", remedy)
    if engine.storage_driver in _GOOD_STORAGE:
        yield ok("storage driver", engine.storage_driver)
    else:
        yield warn("storage driver", f"{engine.storage_driver} is slow or deprecated", "use overlay2")
    yield from _cgroups(engine)


def _security(engine: EngineFacts, nested: str) -> Iterator[Check]:
    if not engine.seccomp:
        remedy = "use a kernel and an Engine with seccomp"
        yield warn("seccomp", "the Engine does not filter the system calls of containers", remedy)
    if not nested:
        return
    if nested in engine.runtimes:
        yield ok("runtime", f"{nested}, for DockerInDocker")
    else:
        detail = f"the Engine lacks {nested}, the policy's dockerInDockerRuntime"
        yield warn("runtime", detail, 'install it and enter it under "runtimes" in /etc/docker/daemon.json')


def _cgroups(engine: EngineFacts) -> Iterator[Check]:
    detail = f"version {engine.cgroup_version}, driver {engine.cgroup_driver}"
    if engine.cgroup_version == "1":
        yield warn("cgroup", detail, "version 2 enforces more; boot with systemd.unified_cgroup_hierarchy=1")
    else:
        yield ok("cgroup", detail)
    if engine.lacks:
        remedy = "enable them in the kernel; such limits of specs have no effect"
        yield warn("limits", f"the Engine cannot set {', '.join(engine.lacks)}", remedy)


def _files(files: Files, high: int) -> Iterator[Check]:
    yield from _state(files.places["state"])
    yield from _runtime(files.places["runtime"])
    yield from _secrets(files.places["secrets"])
    yield from _specs(files.places["specs"])
    if "proxy" in files.places:
        yield from _proxy(files.places["proxy"])
    if "docker" in files.places and files.places["docker"].size:
        yield _engine_disk(files.places["docker"], high)
    if files.places["state"].size:
        yield _disk("state disk", files.places["state"])
    yield _clock(synchronised=files.clock_synchronised)
    yield from _roots(files)
    yield from _jobs(files)


def _state(place: Place) -> Iterator[Check]:
    what = "state dir"
    if place.file_system in _NETWORKED:
        detail = f"{place.path} is on {place.file_system}"
        yield fail(what, detail, "set stateDir to a local disk: locks and durable writes need one")
    elif place.file_system in _VOLATILE:
        yield warn(what, f"{place.path} is on {place.file_system}", "a reboot forgets it; use a local disk")
    else:
        yield from _owned(what, place, _BY_GROUP | _BY_OTHERS, missing="it is made at the start")


def _runtime(place: Place) -> Iterator[Check]:
    what = "runtime dir"
    if place.file_system not in _VOLATILE:
        detail = f"{place.path} is on {place.file_system}: secrets of workspaces would be written to a disk"
        yield warn(what, detail, "set runtimeDir to a directory below /run")
    else:
        yield from _owned(what, place, _BY_GROUP | _BY_OTHERS, missing="it is made at the start")


def _secrets(place: Place) -> Iterator[Check]:
    yield from _owned("secrets dir", place, _BY_GROUP | _BY_OTHERS, missing="needed only for spec.secrets")


def _specs(place: Place) -> Iterator[Check]:
    what = "spec dir"
    if not place.exists and not place.error:
        yield fail(what, f"{place.path} does not exist", "make it, or correct specDir")
    else:
        yield from _owned(what, place, _BY_OTHERS, missing="")


def _proxy(place: Place) -> Iterator[Check]:
    """Who can write there decides which requests go where."""
    what = "proxy dir"
    if not place.exists and not place.error:
        remedy = f"install -d -m 0755 {place.path}, or correct proxy.directory: names are not published"
        yield fail(what, f"{place.path} does not exist", remedy)
    elif place.is_directory and place.file_system in _NETWORKED:
        detail = f"{place.path} is on {place.file_system}: the proxy may not hear of changes"
        yield warn(what, detail, "use a local directory, and run the proxy on this host")
    else:
        yield from _owned(what, place, _BY_GROUP | _BY_OTHERS, missing="")


def _owned(what: str, place: Place, forbidden: int, missing: str) -> Iterator[Check]:
    """A directory must be root's, and closed to those who could abuse it."""
    if place.error:
        yield fail(what, f"{place.path} cannot be looked at: {place.error}", "ask as root")
    elif not place.exists:
        yield ok(what, f"{place.path} does not exist; {missing}")
    elif not place.is_directory:
        yield fail(what, f"{place.path} is no directory", "move it away")
    elif place.uid != 0:
        yield fail(what, f"{place.path} belongs to uid {place.uid}", f"chown root {place.path}")
    elif place.mode & forbidden:
        closed = f"{place.mode & ~forbidden:04o}"
        yield fail(what, f"{place.path} has mode {place.mode:04o}", f"chmod {closed} {place.path}")
    else:
        yield ok(what, f"{place.path}, {place.file_system}")


def _engine_disk(place: Place, high: int) -> Check:
    found = _disk(_ENGINE_DISK, place)
    if found.level is Level.FAIL or place.used * 100 <= high * (place.used + place.free):
        return found
    detail = (
        f"{wording.size(place.free)} free of {wording.size(place.size)} at {place.path}, fuller than "
        f"disk.highWatermark ({high} %): pulls and new workspaces wait"
    )
    return warn(_ENGINE_DISK, detail, "make room: `wharf gc`, logs, kept containers (`wharf get retained`)")


def _disk(what: str, place: Place) -> Check:
    share = place.free / place.size
    detail = f"{wording.size(place.free)} free of {wording.size(place.size)} at {place.path}"
    if share < _EXHAUSTED:
        return fail(what, detail, "make room: images, logs, kept containers (`wharf get retained`)")
    if share < _SCARCE:
        return warn(what, detail, "make room soon: images, logs, kept containers (`wharf get retained`)")
    return ok(what, detail)


def _clock(*, synchronised: bool | None) -> Check:
    if synchronised is None:
        return warn("clock", "the host does not tell whether it is synchronised", "run an NTP client")
    if not synchronised:
        return warn("clock", "not synchronised", "run an NTP client: timedatectl set-ntp true")
    return ok("clock", "synchronised")


def _roots(files: Files) -> Iterator[Check]:
    for root, (unsafe, suid) in sorted(files.mount_roots.items()):
        if unsafe is not None:
            yield fail("mount root", f"{root}: {unsafe.message}", "")
        elif suid is not None:
            remedy = "only workspaces with runAs: Image, or another profile than Standard, are held"
            yield warn("mount root", f"{root}: {suid.message}", remedy)
        else:
            yield ok("mount root", root)


def _jobs(files: Files) -> Iterator[Check]:
    for job in files.prune_jobs:
        detail = f"{job.file}:{job.line}: {job.text}: it would remove stopped workspaces and kept containers"
        yield warn("prune job", detail, "remove the entry and use `wharf gc` in its place")
    if files.unread:
        yield warn("prune job", f"cannot read {', '.join(files.unread)}", "ask as root")
    if not files.prune_jobs and not files.unread:
        yield ok("prune job", "no cron entry or timer calls docker prune")


def _gpus(gpus: GpuFacts, engine: EngineFacts | None) -> Iterator[Check]:
    view = gpus.view
    if isinstance(view, Unseen):
        yield warn("gpus", view.message, "ask nvidia-smi; workspaces with a GPU wait, others do not")
        return
    yield _driver(view, gpus.is_listed)
    yield from _gpu_state(view)
    if view.devices and not gpus.is_listed and engine is not None:
        yield from _attachment(gpus, view, engine)
        yield from _toolkit(gpus.toolkit)


def _driver(view: GpuView, is_listed: bool) -> Check:  # noqa: FBT001 - one fact of two
    if view.mismatch:
        return warn("gpus", view.mismatch, "restart the host: until then nothing new starts with a GPU")
    if not view.devices:
        return ok("gpus", "the driver has no device" if view.driver else "no driver of NVIDIA here")
    return ok("gpus", _devices(view, is_listed))


def _gpu_state(view: GpuView) -> Iterator[Check]:
    if view.processes is None and not view.mismatch:
        detail = "the driver does not tell who uses them, so none is granted"
        yield warn("gpu users", detail, "see that driver and library are of one version, and ask as root")
    divided = {device.parent for device in view.devices.values()}
    for device in view.devices.values():
        if device.divided and device.uuid not in divided:
            detail = f"MIG mode of {device.uuid} is on and it has no instance: nothing of it can be granted"
            yield warn("mig", detail, "make instances (`wharf mig plan` says which), or switch MIG mode off")
    for trouble in view.troubles:
        remedy = "it is granted again some time after that is over"
        yield warn("gpu health", f"{trouble.uuid}: {trouble.message}", remedy)


def _devices(view: GpuView, is_listed: bool) -> str:  # noqa: FBT001 - one fact of two
    whole = sum(device.parent is None for device in view.devices.values())
    parts = len(view.devices) - whole
    words = "1 GPU" if whole == 1 else f"{whole} GPUs"
    if parts:
        words += ", 1 MIG instance" if parts == 1 else f", {parts} MIG instances"
    if not is_listed:
        words += f", driver {view.driver}, library {view.library}"
    return words


def _simulated(check: Check) -> Check:
    return replace(check, detail=f"SIMULATED: {check.detail}")


def _attachment(gpus: GpuFacts, view: GpuView, engine: EngineFacts) -> Iterator[Check]:
    """How they reach a container; see `gpus.attach`."""
    what, kit = "gpu attachment", gpus.toolkit
    by_cdi = gpus.attach is GpuAttach.CDI or (gpus.attach is GpuAttach.AUTO and engine.cdi is not None)
    if not by_cdi:
        yield _hook(kit.hook or any("nvidia" in name for name in engine.runtimes), engine)
        return
    grantable = {uuid for uuid, device in view.devices.items() if not device.divided}
    missing = grantable - kit.described - {name.rpartition("=")[2] for name in engine.cdi or ()}
    if engine.cdi is None:
        remedy = 'set "features": {"cdi": true} in /etc/docker/daemon.json, or gpus.attach: Auto'
        yield warn(what, "the Engine has no CDI, which gpus.attach asks for", remedy)
    elif missing:
        remedy = "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml (again after each change of MIG)"
        yield warn(what, f"no description for CDI of {', '.join(sorted(missing))}", remedy)
    else:
        yield ok(what, "by CDI")


def _hook(is_there: bool, engine: EngineFacts) -> Check:  # noqa: FBT001 - one fact of two
    what = "gpu attachment"
    if not is_there:
        return warn(what, "neither CDI nor NVIDIA's hook is here", "install the NVIDIA Container Toolkit")
    if engine.cgroup_driver == "systemd":
        detail = "by NVIDIA's hook: `systemctl daemon-reload` takes the GPUs from what runs"
        return warn(what, detail, "use CDI (Engine 25 or newer), or the cgroup driver cgroupfs")
    return ok(what, "by NVIDIA's hook")


def _toolkit(kit: Toolkit) -> Iterator[Check]:
    if kit.version and tuple(map(int, kit.version.split("."))) < SAFE_TOOLKIT:
        detail = f"{kit.version}: an image can escape from its container (CVE-2025-23266)"
        yield warn("gpu toolkit", detail, "upgrade the NVIDIA Container Toolkit to 1.17.8 or newer")


def _pool(use: PoolUse) -> Check:
    detail = f"{use.given} of {use.blocks} blocks of the pool {use.pool} are given"
    if use.given >= use.blocks:
        return fail("ports", detail, "enlarge the pool: the next owner's workspaces are held")
    if use.given >= use.blocks * _CROWDED:
        return warn("ports", detail, "enlarge the pool soon")
    return ok("ports", detail)
