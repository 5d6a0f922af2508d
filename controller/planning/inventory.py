"""Knows which containers are ours, and which workspace each belongs to.

Refuses to take a label for a proof: only a valid claim makes a container ours, and of two copies the first.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from controller.api import labels
from controller.api.conditions import Reason
from controller.model.memory import Identity, Memory
from controller.model.observed import Container, EngineView
from controller.model.plan import HostFinding
from controller.planning import claims
from controller.planning.case import Ours, main_name
from controller.planning.memo import Memo

SPARE = 1_000
"""Instances that no container bears and that are known all the same."""
_OUR_NAME = re.compile(r"workspace-([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(\.[0-9a-f]{8})?")


def identities(view: EngineView, memory: Memory) -> tuple[tuple[Identity, ...], tuple[str, ...]]:
    """Return which containers bear an instance that nobody knew, and instances to be forgotten.

    Those are forgotten that none bears, once there are many: after a full disk a list may lack a container.
    Of two that are seen with one instance for the first time the earlier bears it. While a container cannot
    be inspected it may be the earlier one: then only those are learnt that have the name of a first one.
    """
    seen: dict[str, Container] = {}
    borne = set()
    for container in view.containers.values():
        instance = container.labels.get(labels.INSTANCE, "")
        borne.add(instance)
        if not instance or instance in memory.identities:
            continue
        certain = not view.unknown or container.name in _names(container.labels)
        if certain and claims.is_ours(memory.claim_key, container.labels):
            seen[instance] = min(seen.get(instance, container), container, key=_age)
    spare = () if view.unknown else tuple(known for known in memory.identities if known not in borne)
    gone = spare if len(spare) > SPARE else ()
    return tuple(Identity(instance, found.id) for instance, found in seen.items()), gone


def is_ours(memory: Memory, container_id: str, marks: Mapping[str, str]) -> bool:
    """Tell whether a container with these labels is ours, and neither foreign nor a copy."""
    known = memory.identities.get(marks.get(labels.INSTANCE, ""))
    genuine = claims.is_ours(memory.claim_key, marks) and (
        known is None or known.container_id == container_id
    )
    return genuine or container_id in memory.adopted


class Inventory:
    """Sorts containers by workspace; remembers which claims it has verified."""

    def __init__(self) -> None:
        self._ownership: Memo[claims.Ownership] = Memo()

    def index(self, view: EngineView, memory: Memory) -> tuple[dict[str, Ours], tuple[HostFinding, ...]]:
        """Return our containers by workspace, with who else is on their names, and what nobody asks for."""
        owned, strangers = self._sort(view, memory)
        self._ownership.keep_only(frozenset(view.containers))
        mains: dict[str, Container] = {}
        others: defaultdict[str, list[Container]] = defaultdict(list)
        for container in owned:
            workspace = workspace_of(container, memory)
            if container.name == main_name(workspace):
                mains[workspace] = container
            else:
                others[workspace].append(container)
        index = {name: Ours(container) for name, container in mains.items()}
        for name, group in others.items():
            group.sort(key=lambda c: (c.created, c.id), reverse=True)
            index[name] = Ours(mains.get(name), tuple(group))
        _mark_foreign(index, (*strangers, *(c for group in others.values() for c in group)))
        _mark_unknown(index, view.unknown)
        findings = [_pretender(c) for c in strangers if labels.WORKSPACE in c.labels]
        findings += [_surplus(c) for ours in index.values() for c in _unused(ours, memory)]
        return index, tuple(sorted(findings, key=lambda found: (found.subject, found.message)))

    def _sort(self, view: EngineView, memory: Memory) -> tuple[list[Container], list[Container]]:
        """Return our containers and all others; whoever does not bear the instance that it says is a copy."""
        owned: dict[str, Container] = {}
        strangers: list[Container] = []
        for container in view.containers.values():
            adopted = container.id in memory.adopted
            if not adopted and self._judge(container, memory.claim_key) is claims.Ownership.FOREIGN:
                strangers.append(container)
                continue
            instance = container.id if adopted else container.labels[labels.INSTANCE]
            known = memory.identities.get(instance)
            if known is not None and known.container_id != container.id:
                strangers.append(container)
                continue
            first = owned.setdefault(instance, container)
            if first is container:
                continue
            earlier, later = sorted((first, container), key=_age)
            owned[instance] = earlier
            strangers.append(later)
        return list(owned.values()), strangers

    def _judge(self, container: Container, key: bytes) -> claims.Ownership:
        return self._ownership.get(
            container.id, (container, key), lambda: claims.judge(key, container.labels)
        )


def _names(marks: Mapping[str, str]) -> tuple[str, str]:
    """Return the names that a container with these labels has, in use and kept."""
    workspace = marks.get(labels.WORKSPACE, "")
    return main_name(workspace), labels.retained_name(workspace, marks.get(labels.INSTANCE, ""))


def _age(container: Container) -> tuple[datetime, str]:
    return container.created, container.id


def workspace_of(container: Container, memory: Memory) -> str:
    """Return the workspace of a container of ours: as who adopted it said, else as its label says."""
    adoption = memory.adopted.get(container.id)
    return adoption.workspace if adoption is not None else container.labels[labels.WORKSPACE]


def _mark_foreign(index: dict[str, Ours], strangers: Iterable[Container]) -> None:
    """Say of a workspace's name that somebody else has it."""
    for container in strangers:
        match = _OUR_NAME.fullmatch(container.name)
        if match and not match[2]:
            index[match[1]] = replace(index.get(match[1], Ours()), foreign=container)


def _mark_unknown(index: dict[str, Ours], unknown: frozenset[str]) -> None:
    """Say of a workspace that nobody can tell about one of its containers."""
    if not unknown:
        return
    for name, ours in index.items():
        if any(container.name in unknown for container in ours.all()):
            index[name] = replace(ours, unknown=True)
    for container_name in unknown:
        match = _OUR_NAME.fullmatch(container_name)
        if match:
            index[match[1]] = replace(index.get(match[1], Ours()), unknown=True)


def _unused(ours: Ours, memory: Memory) -> tuple[Container, ...]:
    return () if ours.main is None or not ours.others else ours.strays(memory)


def _surplus(container: Container) -> HostFinding:
    message = (
        f"the container {container.name} ({container.id[:12]}) is ours beside the one in use; "
        "it is left alone"
    )
    return HostFinding(Reason.ORPHANED, container.name, message)


def _pretender(container: Container) -> HostFinding:
    message = (
        f"the container {container.name} ({container.id[:12]}) carries our labels and has no valid claim of "
        "its own; it is not ours and is left alone"
    )
    return HostFinding(Reason.FOREIGN_CONTAINER, container.name, message)
