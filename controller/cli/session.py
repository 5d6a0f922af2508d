"""What every command of one invocation shares: the configuration, the controller's socket, and messages.

It loads nothing before it is asked for, and knows no command.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import exits

if TYPE_CHECKING:
    from controller import settings as controller_settings
    from controller.cli import control

CONFIG_VARIABLE = "WHARF_CONFIG"


class Session:
    """One invocation of `wharf`: `config_file` as given (None: the default), `environ` of the process."""

    def __init__(self, config_file: Path | None, environ: Mapping[str, str]) -> None:
        self.config_file = config_file
        self._environ = {key: text for key, text in environ.items() if key != CONFIG_VARIABLE}
        self._settings: controller_settings.Settings | None = None
        self._flags: dict[str, str] = {}

    def override(self, path: str, text: str) -> None:
        """Set one key of the configuration by a flag, before the configuration is used."""
        assert self._settings is None, "flags come before the configuration is read"
        self._flags[path] = text

    @property
    def settings(self) -> controller_settings.Settings:
        """The configuration in force.

        Raises:
            exits.Failure: it is wrong, with one line for each mistake.
        """
        if self._settings is None:
            from controller import settings  # noqa: PLC0415 - models take their time to import

            try:
                self._settings = settings.load(self.config_file, self._environ, self._flags)
            except settings.SettingsError as error:
                raise exits.Failure(exits.ExitCode.ERROR, "\n".join(error.findings)) from error
        return self._settings

    def controller(self) -> control.Client:
        """The control API of the controller that uses this configuration, whether or not it runs."""
        from controller.cli import control  # noqa: PLC0415 - needless for commands that ask nobody

        return control.Client(self.settings.runtime_dir / "control.sock")


PASS_SESSION = click.make_pass_decorator(Session)
"""Gives the session to a command as its first argument."""


def say(message: str) -> None:
    """Print a message for the person on stderr, each line after the command's name."""
    for line in message.splitlines():
        click.echo(f"wharf: {line}", err=True)
