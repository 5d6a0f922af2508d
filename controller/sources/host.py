"""Knows the host beside Docker as far as workspaces need it: accounts, mounts, secrets, listeners, routes.

Refuses to make anything, and to take a name service that does not answer for an account that does not exist.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from controller.model.actions import WriteSecrets
from controller.model.effective import Effective
from controller.model.observed import AccountSeen, HostView, MountCheck, Obstacle, Seen
from controller.sources import mounts, names, routes, secrets


def boot_id() -> str:
    """Return the id of this boot of the host: proc(5), /proc/sys/kernel/random/boot_id."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class Host:
    """Looks at the host; `listeners` tells the TCP ports on which any process listens, None if it cannot.

    `proxy_dir` is the directory of the site's proxy, None where there is none; `closed` are paths that no
    container may see.
    """

    def __init__(
        self,
        secrets_dir: str,
        runtime_dir: str,
        listeners: Callable[[], frozenset[int] | None],
        proxy_dir: Path | None = None,
        closed: Iterable[str] = (),
    ) -> None:
        self._secrets_dir = secrets_dir
        self._runtime_dir = runtime_dir
        self._listeners = listeners
        self._routes = None if proxy_dir is None else routes.Directory(proxy_dir)
        self._closed = mounts.closed(closed)
        self._accounts = names.Names(names.account)

    def accounts(self, logins: Iterable[str], now: datetime) -> dict[str, AccountSeen]:
        """Return what the host's name service tells of these login names."""
        return self._accounts.ask(logins, now)

    def observe(
        self,
        accounts: Mapping[str, AccountSeen],
        waiting: Iterable[Effective],
        running: Iterable[Effective],
        now: datetime,
    ) -> Seen[HostView]:
        """Look at what waiting workspaces need before they start, secrets of running ones, and routes."""
        checks: dict[tuple[str, str], MountCheck] = {}
        obstacles: dict[str, Obstacle] = {}
        wants_ports = False
        for effective in waiting:
            for mount in effective.mounts:
                request = mounts.Request(mount.source, mount.create, mount.required, effective.nosuid_mounts)
                check = mounts.check_mount(request, effective.mount_roots, self._closed)
                checks[effective.workspace, mount.name] = check
            obstacle = secrets.check_secrets(self._secrets_dir, effective.secrets)
            if obstacle is not None:
                obstacles[effective.workspace] = obstacle
            wants_ports = wants_ports or any(service.published for service in effective.services)
        listeners = self._listeners() if wants_ports else None
        stale = frozenset(effective.workspace for effective in running if self._is_stale(effective))
        found = None if self._routes is None else self._routes.observe(now)
        return Seen(HostView(accounts, checks, obstacles, listeners, stale, found), now)

    def _is_stale(self, effective: Effective) -> bool:
        if not effective.secrets:
            return False
        account = effective.account
        uid, gid = (account.uid, account.gid) if account else (0, 0)
        wanted = WriteSecrets(effective.workspace, effective.secrets, uid, gid)
        return secrets.are_stale(wanted, self._secrets_dir, self._runtime_dir)
