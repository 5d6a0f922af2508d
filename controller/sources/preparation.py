"""Knows how to make on the host what workspaces need: mount sources, secrets, documents for the proxy.

Refuses to choose: each action says exactly what to make, and everything is checked once more as it is made.
"""

import time
from collections.abc import Iterable
from pathlib import Path

from controller.model import actions, errors
from controller.model.outcomes import Failed, Outcome, Succeeded
from controller.sources import mounts, routes, secrets


class HostExecutor:
    """Executes host actions; those on routes need the directory of the site's proxy.

    `closed` are paths that no container may see.
    """

    def __init__(
        self,
        secrets_dir: str,
        runtime_dir: str,
        proxy_dir: Path | None = None,
        closed: Iterable[str] = (),
    ) -> None:
        self._secrets_dir = secrets_dir
        self._runtime_dir = runtime_dir
        self._proxy_dir = proxy_dir
        self._closed = mounts.closed(closed)

    def execute(self, action: actions.HostAction) -> Outcome:
        """Do one action and say what came of it."""
        began = time.monotonic()
        try:
            already = self._make(action)
        except errors.EffectError as error:
            seconds = time.monotonic() - began
            retryable = isinstance(error, errors.Retryable)
            return Failed(action, seconds, error.reason, error.message, retryable=retryable)
        return Succeeded(action, time.monotonic() - began, already=already)

    def _make(self, action: actions.HostAction) -> bool:
        match action:
            case actions.PrepareMount():
                return mounts.prepare_mount(action, self._closed)
            case actions.WriteSecrets():
                return secrets.write_secrets(action, self._secrets_dir, self._runtime_dir).already
            case actions.WriteRoute():
                return routes.write_route(action, self._proxy())
            case actions.RemoveRoute():
                return routes.remove_route(action, self._proxy())

    def _proxy(self) -> Path:
        assert self._proxy_dir is not None, "nothing is planned in a directory that is not configured"
        return self._proxy_dir
