"""Knows the host beside Docker: accounts, mounts, and the directory of the proxy.

It refuses to be real: every account is known unless something is odd about it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from controller.api.conditions import Reason
from controller.model import actions, outcomes
from controller.model.effective import Effective
from controller.model.observed import Account, AccountSeen, HostView, MountCheck, Obstacle, Seen, Unseen
from tests.simulation.engine import WatchedEngine


class SimHost:
    """The host beside Docker: every account is known, and mounts are there unless the Engine misses them.

    `routes` is the directory of the proxy, text by file name; it outlives the controller.
    """

    def __init__(self, engine: WatchedEngine, routes: dict[str, str]) -> None:
        self._engine, self._routes = engine, routes

    def accounts(self, logins: Iterable[str], now: datetime) -> Mapping[str, AccountSeen]:
        return {name: self._account(name, now) for name in logins}

    def _account(self, name: str, now: datetime) -> AccountSeen:
        known = Account(name, 1000 + len(name), 1000, f"/home/{name}")
        match self._engine.odd_accounts.get(name):
            case "gone":
                return None
            case "changed":
                return replace(known, uid=known.uid + 500)
            case "silent":
                return Unseen(Reason.NAME_SERVICE_SILENT, "the name service fails", now)
            case _:
                return known

    def observe(
        self,
        accounts: Mapping[str, AccountSeen],
        waiting: Iterable[Effective],
        running: Iterable[Effective],
        now: datetime,
    ) -> Seen[HostView]:
        del running
        checks = {
            (effective.workspace, mount.name): self._check(mount.source)
            for effective in waiting
            for mount in effective.mounts
        }
        held = (c.host_ports() for c in self._engine.containers.values() if c.running)
        listeners = frozenset(self._engine.host_ports).union(*held)
        return Seen(HostView(accounts, checks, {}, listeners, routes=dict(self._routes)), now)

    def _check(self, source: str) -> MountCheck:
        if source in self._engine.missing_paths:
            return MountCheck(usable=False, obstacle=Obstacle(Reason.MOUNT_MISSING, f"{source} is not there"))
        return MountCheck(usable=True)

    def execute(self, action: actions.HostAction) -> outcomes.Outcome:
        if isinstance(action, actions.PrepareMount) and action.source in self._engine.missing_paths:
            message = f"{action.source} is not there"
            return outcomes.Failed(action, 0.0, Reason.MOUNT_MISSING, message, retryable=True)
        if isinstance(action, actions.WriteRoute):
            self._routes[action.file] = action.text
        if isinstance(action, actions.RemoveRoute):
            self._routes.pop(action.file, None)
        return outcomes.Succeeded(action, 0.0, already=True)
