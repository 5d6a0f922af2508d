"""Which value each key of the configuration has, and where it was said: flag, environment, file or default.

It reads one file and judges nothing about the host: whether paths exist and addresses are free
is found out by those who use them.
"""

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pydantic

from controller.api import config, meta
from controller.sources import loader

DEFAULT_FILE: Final = Path("/etc/wharfinger/controller.yaml")
PREFIX: Final = "WHARF_"
DEFAULT: Final = "default"

_DOCUMENT_KEYS: Final = frozenset({"apiVersion", "kind"})
_NULLS: Final = frozenset({"", "null"})

Tree = dict[str, object]


class SettingsError(Exception):
    """What is wrong with the configuration: `findings` has one line for each mistake."""

    def __init__(self, *findings: str) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """One key that can be set from outside: its path, its variable, and the kind of its value."""

    path: str
    variable: str
    is_number: bool
    is_nullable: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """The configuration in force. All paths are absolute; `proxy_dir` is None where there is no proxy.

    `origins` names the origin of each key by its path (`metrics.listen`): "default", the file, the variable
    or the flag. `file` is None where no file was read.
    """

    config: config.ControllerConfig
    file: Path | None
    spec_dir: Path
    policy_file: Path
    image_catalog_file: Path
    secrets_dir: Path
    state_dir: Path
    runtime_dir: Path
    proxy_dir: Path | None
    origins: Mapping[str, str]

    @property
    def closed(self) -> tuple[str, ...]:
        """What no container may see: the controller's own files and directories, and the Engine's socket."""
        own = (self.file, self.spec_dir, self.policy_file, self.image_catalog_file, self.secrets_dir)
        others = (self.state_dir, self.runtime_dir, self.proxy_dir)
        scheme, _, socket = self.config.docker.host.partition("://")
        paths = tuple(str(path) for path in (*own, *others) if path is not None)
        return (*paths, socket) if scheme == "unix" else paths


def known_keys() -> tuple[Key, ...]:
    """Every key that a variable or a flag can set, in the order of the documentation."""
    return tuple(_walk(config.ControllerConfig, ""))


def load(config_file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]) -> Settings:
    """Put the configuration together.

    `config_file` None means /etc/wharfinger/controller.yaml, which may be absent; a file that was named must
    exist. `flags` are texts by key path. Relative paths are relative to the file's directory, whoever said
    them.

    Raises:
        SettingsError: the file is unreadable or wrong, a variable or flag is unknown, a value impossible.
    """
    file = (config_file or DEFAULT_FILE).absolute()
    parsed = None if config_file is None and not file.exists() else _read(file)
    tree: Tree = {} if parsed is None else parsed.model_dump(mode="json", exclude_unset=True)
    said = _said(environ, flags)
    origins = {key.path: str(file) if _has(tree, key.path) else DEFAULT for key in known_keys()}
    for key, (origin, text) in said.items():
        _put(tree, key.path, _convert(key, text))
        origins[key.path] = origin
    try:
        value = config.ControllerConfig.model_validate(tree)
    except pydantic.ValidationError as error:
        raise SettingsError(*_translate(error, origins)) from error
    return _settle(value, file, parsed is not None, origins)


def _settle(
    value: config.ControllerConfig, file: Path, was_read: object, origins: dict[str, str]
) -> Settings:
    base = file.parent
    return Settings(
        config=value,
        file=file if was_read else None,
        spec_dir=base / value.spec_dir,
        policy_file=base / value.policy_file,
        image_catalog_file=base / value.image_catalog_file,
        secrets_dir=base / value.secrets_dir,
        state_dir=base / value.state_dir,
        runtime_dir=base / value.runtime_dir,
        proxy_dir=None if value.proxy.directory is None else base / value.proxy.directory,
        origins=MappingProxyType(origins),
    )


def _read(file: Path) -> config.ControllerConfig:
    try:
        text = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    result = loader.parse_document(text, str(file), config.ControllerConfig)
    if isinstance(result, loader.Rejection):
        raise SettingsError(*map(str, result.findings))
    return result.value


def _said(environ: Mapping[str, str], flags: Mapping[str, str]) -> dict[Key, tuple[str, str]]:
    """What variables and flags say by key, with the origin; a flag hides a variable."""
    by_variable = {key.variable: key for key in known_keys()}
    by_path = {key.path: key for key in known_keys()}
    unknown = [name for name in sorted(environ) if name.startswith(PREFIX) and name not in by_variable]
    wrong = [f"{name}: unknown variable{_nearest(name, by_variable)}" for name in unknown]
    wrong += [
        f"{path}: unknown key{_nearest(path, by_path)}" for path in sorted(flags) if path not in by_path
    ]
    if wrong:
        raise SettingsError(*wrong)
    said = {key: (name, environ[name]) for name, key in by_variable.items() if name in environ}
    return said | {by_path[path]: (f"flag {path}", text) for path, text in flags.items()}


def _nearest(name: str, known: Mapping[str, Key]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"; did you mean {near[0]}?" if near else ""


def _translate(error: pydantic.ValidationError, origins: Mapping[str, str]) -> Iterator[str]:
    """One line for each error, led by the origin that can be changed."""
    for detail in error.errors(include_url=False):
        path = ".".join(str(part) for part in detail["loc"])
        origin = origins.get(path, DEFAULT)
        place = path if origin == DEFAULT else f"{origin}: {path}"
        yield f"{place}: {detail['msg'].replace('Input should be', 'this must be')}"


def _convert(key: Key, text: str) -> object:
    if key.is_nullable and text in _NULLS:
        return None
    return int(text) if key.is_number and re.fullmatch(r"-?[0-9]{1,18}", text) else text


def _has(tree: Tree, path: str) -> bool:
    node: object = tree
    for part in path.split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def _put(tree: Tree, path: str, value: object) -> None:
    head, _, rest = path.partition(".")
    if not rest:
        tree[head] = value
        return
    below = tree.setdefault(head, {})
    assert isinstance(below, dict), "every key's parents are mappings of the model"
    _put(below, rest, value)


def _walk(model: type[meta.ApiModel], prefix: str) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, meta.ApiModel):
            yield from _walk(kind, f"{path}.")
        elif path not in _DOCUMENT_KEYS and typing.get_origin(kind) is not tuple:
            variable = PREFIX + re.sub(r"(?=[A-Z])", "_", path).replace(".", "_").upper()
            yield Key(path, variable, is_number=kind is int, is_nullable=type(None) in typing.get_args(kind))
