"""Knows what a workspace may do to its host by its profile, and what it is refused.

Refuses to know how the Engine is told, and which runtimes it has.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from controller.api import fields, policy, workspace
from controller.api.conditions import Reason
from controller.model.effective import Refusal
from controller.model.observed import Account
from controller.planning.origins import Value

CAPABILITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AUDIT_WRITE": "sshd writes each login to the kernel's audit log, or closes the session",
        "CHOWN": "sshd gives the terminal to who logs in; useradd and passwd renew files; dpkg",
        "DAC_OVERRIDE": "sudo and dpkg read and write files of other accounts, such as homes of mode 0700",
        "FOWNER": "dpkg and sudo chmod set modes and times of files of other accounts",
        "FSETID": "dpkg and chmod keep the set-group-id bit on files of groups such as crontab and mail",
        "KILL": "sudo kill, and a supervisor that runs as root, end processes of other accounts",
        "NET_BIND_SERVICE": "services bind ports below 1024 where the Engine leaves those to root; programs "
        "that carry it as a file capability, as some web servers do, can start",
        "SETGID": "sshd, su, sudo and apt change to the groups of another account",
        "SETUID": "sshd, su, sudo and apt change to another account",
        "SYS_CHROOT": "sshd locks its half without privileges into an empty directory",
    }
)
"""All that root has in a container of profile Standard, by name without CAP_, and what fails without each.

Found out with sshd, sudo, su, dpkg and useradd of Debian 12, one capability left out at a time.
"""


def capabilities(profile: workspace.SecurityProfile) -> tuple[str, ...] | None:
    """Return what a container of this profile gets, sorted; None where the Engine or its runtime decides."""
    return tuple(CAPABILITIES) if profile is workspace.SecurityProfile.STANDARD else None


def root_can_run(profile: object, user: Account | None) -> bool:
    """Tell whether a container's main process may be root, or become it beyond what the image brings.

    `user` is as whom it runs, None for whom the image says.
    """
    as_root = user is None or user.uid == 0
    return as_root or profile is not workspace.SecurityProfile.STANDARD


def runtime(profile: workspace.SecurityProfile, rules: policy.PolicySpec) -> str | None:
    """Return the Engine's name of the runtime for a profile, None for the Engine's default."""
    nested = profile is workspace.SecurityProfile.DOCKER_IN_DOCKER
    return rules.docker_in_docker_runtime if nested else None


def refusal(
    values: Mapping[str, Value], owner: str, rules: policy.PolicySpec, privilege: policy.Privilege | None
) -> Refusal | None:
    """Say why a workspace cannot have what it asks for, or nothing; `privilege` is the owner's in force."""
    profile, mode = values["security.profile"], values["gpu.mode"]
    match profile.value:
        case workspace.SecurityProfile.PRIVILEGED:
            return _privileged(profile, mode, owner, rules, privilege)
        case workspace.SecurityProfile.DOCKER_IN_DOCKER if rules.docker_in_docker_runtime is None:
            return Refusal(
                Reason.PRIVILEGE_REFUSED,
                f"spec.security.profile: DockerInDocker (from {profile.origin}) needs a runtime that makes "
                "it safe, such as sysbox-runc, and the policy's dockerInDockerRuntime names none",
            )
        case _:
            return None


def _privileged(
    profile: Value, mode: Value, owner: str, rules: policy.PolicySpec, privilege: policy.Privilege | None
) -> Refusal | None:
    """A privileged container is root on the host: it sees everything, all GPUs included."""
    asked = f"spec.security.profile: Privileged (from {profile.origin})"
    if privilege is None:
        return Refusal(Reason.PRIVILEGE_REFUSED, f"{asked} {_lacking(owner, rules.privileged.get(owner))}")
    if mode.value is workspace.GpuMode.EXCLUSIVE:
        message = (
            f"{asked} sees every GPU of the host, so spec.gpu.mode: Exclusive (from {mode.origin}) would be "
            "no promise; choose one of the two"
        )
        return Refusal(Reason.PRIVILEGED_SHARES_GPUS, message)
    return None


def _lacking(owner: str, over: policy.Privilege | None) -> str:
    if over is not None and over.expires is not None:
        ended = fields.format_timestamp(over.expires)
        return f"ended for {owner} at {ended}; an administrator can write a later privileged.{owner}.expires"
    entry = f'privileged: {{{owner}: {{reason: "…", approvedBy: …}}}}'
    return f"is only for those whom the policy names; an administrator can write {entry} there"
