"""Knows what the simulated Engine makes of capabilities, privileges and runtimes, as Engine 20.10 does.

It refuses to know what a workspace should have: the names of the kernel and the Engine's own choice only.
"""

from typing import TYPE_CHECKING, Any, Final

from controller.engine.transport import Answer

if TYPE_CHECKING:
    from tests.support.sim_engine import SimEngine

KERNEL: Final = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
    SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
    AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
    PERFMON BPF CHECKPOINT_RESTORE
""".split()  # noqa: SIM905 - a list of forty strings reads worse
"""Capabilities in the order of their bits, capabilities(7)."""

_OWN = """
    CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE
    SYS_CHROOT KILL AUDIT_WRITE
"""
OWN: Final = frozenset(_OWN.split())
"""Those that the Engine gives where nothing is said."""


def refuse(engine: "SimEngine", host: dict[str, Any]) -> Answer | None:
    """What the Engine says of a capability or a runtime that it does not know."""
    for field in ("CapAdd", "CapDrop"):
        for name in _normal(host.get(field)):
            if name.removeprefix("CAP_") not in (*KERNEL, "ALL"):
                return _error(f'invalid {field}: unknown capability: "{name}"')
    runtime = host.get("Runtime")
    if runtime and runtime not in engine.runtimes:
        return _error(f"Unknown runtime specified {runtime}")
    return None


def complete(engine: "SimEngine", host: dict[str, Any]) -> None:
    """Write what inspect shows beyond what was given: names of capabilities stay as they were written."""
    host["Runtime"] = host.get("Runtime") or engine.gpus.runtime
    if host.get("Privileged"):
        host.setdefault("SecurityOpt", ["label=disable"])


def refuse_start(engine: "SimEngine", host: dict[str, Any]) -> Answer | None:
    """What the runtime says where the kernel has not given the Engine what it shall give away."""
    if bounding(host) <= engine.capabilities:
        return None
    text = (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start "
        "container process: unable to apply caps: operation not permitted: unknown"
    )
    return Answer(500, {"message": text})


def bounding(host: dict[str, Any]) -> frozenset[str]:
    """Capabilities of a container's main process in its bounding set."""
    if host.get("Privileged"):
        return frozenset(KERNEL)
    dropped, added = (
        {name.removeprefix("CAP_") for name in _normal(host.get(field))} for field in ("CapDrop", "CapAdd")
    )
    if "ALL" in added:
        return frozenset(KERNEL) - dropped
    return (frozenset() if "ALL" in dropped else OWN - dropped) | added


def _normal(names: list[str] | None) -> list[str]:
    """As the Engine names them in its answers."""
    upper = [name.upper() for name in names or ()]
    return [name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}" for name in upper]


def _error(message: str) -> Answer:
    return Answer(400, {"message": message})
