"""Knows which containers are ours, and which workspace each belongs to.

Refuses to take a label for a proof: only a valid claim makes a container ours, and only the first of two copies.
"""

import re
from collections import defaultdict
from dataclasses import replace

from controller.api import labels
from controller.api.conditions import Reason
from controller.model.memory import Memory
from controller.model.observed import Container, EngineView
from controller.model.plan import HostFinding
from controller.planning import claims
from controller.planning.case import Ours, main_name
from controller.planning.memo import Memo

_OUR_NAME = re.compile(r"workspace-([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)")


class Inventory:
    """Sorts containers by workspace; remembers which claims it has verified."""

    def __init__(self) -> None:
        self._ownership: Memo[claims.Ownership] = Memo()

    def index(self, view: EngineView, memory: Memory) -> tuple[dict[str, Ours], tuple[HostFinding, ...]]:
        """Return our containers by workspace, with who else is on their names, and the strangers."""
        mains: dict[str, Container] = {}
        others: defaultdict[str, list[Container]] = defaultdict(list)
        strangers: list[Container] = []
        for container in self._owned(view, memory, strangers):
            workspace = container.labels[labels.WORKSPACE]
            if container.name == main_name(workspace):
                mains[workspace] = container
            else:
                others[workspace].append(container)
        index = {name: Ours(mains.get(name), tuple(others.get(name, ()))) for name in {*mains, *others}}
        self._ownership.keep_only(frozenset(view.containers))
        squatters = [c for group in others.values() for c in group]
        _mark_names(index, view, strangers, squatters)
        return index, tuple(_finding(container) for container in strangers if _poses(container))

    def _owned(self, view: EngineView, memory: Memory, strangers: list[Container]) -> list[Container]:
        owned: dict[str, Container] = {}
        for container in view.containers.values():
            ownership = self._ownership.get(
                container.id,
                (container, memory.claim_key),
                lambda c=container: claims.judge(memory.claim_key, c.labels),  # type: ignore[misc]
            )
            instance = container.labels.get(labels.INSTANCE, "")
            first = owned.get(instance)
            if ownership is claims.Ownership.FOREIGN:
                strangers.append(container)
            elif first is None:
                owned[instance] = container
            elif (container.created, container.id) < (first.created, first.id):
                owned[instance] = container
                strangers.append(first)
            else:
                strangers.append(container)
        return list(owned.values())


def _mark_names(
    index: dict[str, Ours], view: EngineView, strangers: list[Container], squatters: list[Container]
) -> None:
    """Say of every workspace's name whether somebody else has it, or whether nobody can tell."""
    for container in (*strangers, *squatters):
        match = _OUR_NAME.fullmatch(container.name)
        if match:
            name = match[1]
            index[name] = replace(index.get(name, Ours()), foreign=container)
    for container_name in view.unknown:
        match = _OUR_NAME.fullmatch(container_name)
        if match:
            index[match[1]] = replace(index.get(match[1], Ours()), unknown=True)


def _poses(container: Container) -> bool:
    return labels.WORKSPACE in container.labels


def _finding(container: Container) -> HostFinding:
    message = (
        f"the container {container.name} ({container.id[:12]}) carries our labels and no valid claim; "
        "it is not ours and is left alone"
    )
    return HostFinding(Reason.FOREIGN_CONTAINER, container.name, message)
