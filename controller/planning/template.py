"""Knows how a resolved workspace becomes a container template, and what of it needs a new container.

Refuses to choose ports or devices: they are given to it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping

from controller.api import labels
from controller.api.workspace import SecurityProfile
from controller.model.desired import AcceptedSpec
from controller.model.effective import Effective
from controller.model.observed import Bind, PublishedPort
from controller.model.template import Template
from controller.planning import claims, security

HASH_VERSION = "v2"
"""Names the projection of new containers; each container is compared by the one that it was made with."""


def render(effective: Effective, ports: tuple[PublishedPort, ...], secrets_dir: str) -> Template:
    """Return the template of a workspace; `secrets_dir` is the host directory with its secrets."""
    account = effective.account
    env = {"WHARF_WORKSPACE": effective.workspace, "WHARF_OWNER": effective.owner}
    if account is not None:
        env |= {"WHARF_UID": str(account.uid), "WHARF_GID": str(account.gid)}
    env |= dict(effective.env)
    env["NVIDIA_VISIBLE_DEVICES"] = "void"
    binds = [Bind(mount.target, mount.source, mount.read_only) for mount in effective.mounts]
    if effective.secrets:
        binds.append(Bind(labels.SECRETS_TARGET, secrets_dir, read_only=True))
    return Template(
        image=effective.image,
        hostname=effective.workspace,
        command=effective.command,
        env=tuple(sorted(env.items())),
        user=f"{account.uid}:{account.gid}" if effective.run_as_owner and account else None,
        init=effective.init,
        binds=tuple(sorted(binds)),
        ports=tuple(sorted(ports)),
        network=labels.NETWORK_OPEN if effective.open_network else labels.NETWORK_PRIVATE,
        shm=effective.shm,
        limits=effective.limits,
        stop_grace=effective.stop_grace,
        capabilities=security.capabilities(effective.profile),
        privileged=effective.profile is SecurityProfile.PRIVILEGED,
        runtime=effective.runtime,
    )


def digest(template: Template, version: str = HASH_VERSION) -> str:
    """Return the version and the SHA-256 of all that needs a new container when it changes: `v2:…`.

    The image is not in it (a reference that names the same image is no change), nor what can be changed live.
    """
    text = json.dumps(PROJECTIONS[version](template), sort_keys=True, separators=(",", ":"))
    return f"{version}:{hashlib.sha256(text.encode()).hexdigest()}"


def is_digest_of(text: str, template: Template) -> bool:
    """Tell whether a digest, by whichever version, is that of a template."""
    version, _, _ = text.partition(":")
    return version in PROJECTIONS and text == digest(template, version)


def _first(template: Template) -> dict[str, object]:
    return {
        "hostname": template.hostname,
        "command": template.command,
        "env": template.env,
        "user": template.user,
        "init": template.init,
        "binds": [(bind.target, bind.source, bind.read_only) for bind in template.binds],
        "ports": [(port.container_port, port.host_ip, port.host_port) for port in template.ports],
        "network": template.network,
        "shm": template.shm,
    }


def _second(template: Template) -> dict[str, object]:
    return {
        **_first(template),
        "capabilities": template.capabilities,
        "privileged": template.privileged,
        "runtime": template.runtime,
    }


PROJECTIONS: Mapping[str, Callable[[Template], dict[str, object]]] = {"v1": _first, "v2": _second}
"""None of these ever changes: a field that needs a new container begins a new version."""


def identity(
    accepted: AcceptedSpec, effective: Effective, template_hash: str, epoch: int
) -> Mapping[str, str]:
    """Return the labels of a workspace's container, but for `.instance` and `.claim`."""
    return {
        labels.WORKSPACE: accepted.name,
        labels.UID: accepted.uid,
        labels.OWNER: effective.owner,
        labels.GENERATION: str(accepted.generation),
        labels.EPOCH: str(epoch),
        labels.TEMPLATE_HASH: template_hash,
        labels.GPUS: "",
    }


def signed(identity_labels: Mapping[str, str], instance: str, key: bytes) -> Mapping[str, str]:
    """Return the labels with `.instance` and the claim over all of them."""
    named = {**identity_labels, labels.INSTANCE: instance}
    return {**named, labels.CLAIM: claims.sign(key, named)}
