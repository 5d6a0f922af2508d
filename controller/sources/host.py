"""Knows the host beside Docker as far as workspaces ask for it: accounts, mount sources, secrets, listeners.

Refuses to make anything, and to take a name service that does not answer for an account that does not exist.
"""

import pwd
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from controller.model.actions import WriteSecrets
from controller.model.effective import Effective
from controller.model.observed import Account, HostView, MountCheck, Obstacle, Seen
from controller.sources import mounts, secrets

ASK_AGAIN = timedelta(seconds=30)
"""An account that the host does not know is asked for again after this long: name services may be slow."""
ASKED_AT_ONCE = 20
"""So many of those at a look at most, the longest unasked first: each may take the name service a while."""


def boot_id() -> str:
    """Return the id of this boot of the host: proc(5), /proc/sys/kernel/random/boot_id."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class Host:
    """Looks at the host; `listeners` tells the TCP ports on which any process listens, None if it cannot."""

    def __init__(
        self, secrets_dir: str, runtime_dir: str, listeners: Callable[[], frozenset[int] | None]
    ) -> None:
        self._secrets_dir = secrets_dir
        self._runtime_dir = runtime_dir
        self._listeners = listeners
        self._asked: dict[str, tuple[datetime, Account | None]] = {}

    def accounts(self, names: Iterable[str], now: datetime) -> dict[str, Account | None]:
        """Return the accounts of these login names; None for those that the host does not know."""
        names = tuple(names)
        new = [name for name in names if name not in self._asked]
        old = [name for name in names if name in self._asked and now - self._asked[name][0] >= ASK_AGAIN]
        old.sort(key=lambda name: self._asked[name][0])
        for name in (*new, *old[:ASKED_AT_ONCE]):
            self._asked[name] = (now, _account(name))
        return {name: self._asked[name][1] for name in names}

    def observe(
        self,
        accounts: Mapping[str, Account | None],
        waiting: Iterable[Effective],
        running: Iterable[Effective],
        now: datetime,
    ) -> Seen[HostView]:
        """Look at what waiting workspaces need before they can start, and at the secrets of running ones."""
        checks: dict[tuple[str, str], MountCheck] = {}
        obstacles: dict[str, Obstacle] = {}
        wants_ports = False
        for effective in waiting:
            for mount in effective.mounts:
                request = mounts.Request(mount.source, mount.create, mount.required, effective.nosuid_mounts)
                checks[effective.workspace, mount.name] = mounts.check_mount(request, effective.mount_roots)
            obstacle = secrets.check_secrets(self._secrets_dir, effective.secrets)
            if obstacle is not None:
                obstacles[effective.workspace] = obstacle
            wants_ports = wants_ports or any(service.published for service in effective.services)
        listeners = self._listeners() if wants_ports else None
        stale = frozenset(effective.workspace for effective in running if self._is_stale(effective))
        return Seen(HostView(accounts, checks, obstacles, listeners, stale), now)

    def _is_stale(self, effective: Effective) -> bool:
        if not effective.secrets:
            return False
        account = effective.account
        uid, gid = (account.uid, account.gid) if account else (0, 0)
        wanted = WriteSecrets(effective.workspace, effective.secrets, uid, gid)
        return secrets.are_stale(wanted, self._secrets_dir, self._runtime_dir)


def _account(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)
