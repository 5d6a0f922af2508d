"""Knows the texts that fuzzing begins with: sample files, one spec that says nearly everything, and giants.

It refuses to break them: that is `mutations`. Giants are as large and as entangled as a file may be (64 KiB,
10,000 values, 20 levels), and most of them are wrong everywhere, since every mistake costs time.
"""

import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from controller.api.images import ImageCatalog
from controller.api.policy import ResourcePolicy
from controller.api.workspace import Workspace
from controller.sources import positions

ROOT: Final = pathlib.Path(__file__).resolve().parents[2]
Model: TypeAlias = type[Workspace | ResourcePolicy | ImageCatalog]
MODELS: Final[tuple[Model, ...]] = (Workspace, ResourcePolicy, ImageCatalog)

SEED_TEXT: Final = b"""\
apiVersion: wharfinger.dev/v1
kind: Workspace
metadata:
  name: alice
  labels: {project: vision}
spec:
  owner: alice
  class: vm
  desiredState: Running
  image: {alias: gpu-jupyter}
  command: ["sleep", "infinity"]
  env: {TZ: Europe/Berlin, TEXT: "a: b # c"}
  secrets:
    - {name: jupyter-token, file: alice/jupyter-token}
  resources: {cpus: "8", memory: 100g, memoryReservation: 32g, swap: 50g, shm: 8g, pids: 4096}
  gpu: {mode: Exclusive, count: 1, minMemory: 16g, uuids: []}
  mounts:
    - {name: home, source: /mnt/storage/homes/alice, target: /home/alice, mode: ReadWrite, create: true}
  services:
    - {name: ssh, port: 22, expose: Port}
  security: {profile: Standard, runAs: Owner}
  lifecycle:
    idleTimeout: 48h
    maxRuntime: null
"""
"""A valid workspace that uses most of the format."""


def model_of(text: bytes) -> Model:
    """The model that a text, however broken, is meant for."""
    head = text[:200]
    return next((model for model in MODELS if model.__name__.encode() in head), Workspace)


@functools.cache
def texts() -> Mapping[str, bytes]:
    """The sample files of this repository and the seed text, by name; all of them are valid."""
    folder = ROOT / "config"
    paths = (
        *sorted((folder / "workspaces.d").glob("*.yaml")),
        folder / "policy.yaml",
        folder / "images.yaml",
    )
    return {"seed.yaml": SEED_TEXT} | {path.name: path.read_bytes() for path in paths}


@functools.cache
def giants() -> Mapping[str, bytes]:
    """Texts at the limits of size, number of values and depth, by what they are full of."""
    return dict(_giants())


def _giants() -> Iterator[tuple[str, bytes]]:
    for field in ("mounts", "services", "secrets", "command"):
        for item in ("1", "[]", "{}", "{a: 1}", "{name: a}"):
            entry = f"{_plain(item)},"
            yield f"{field} of {item}", _fill("Workspace", f"{field}: [", entry.format, "]")
    for field, item in (("env", "A{}: b,"), ("env", "A{}: 1,"), ("env", "{}: [],"), ("lifecycle", "a{}: 1,")):
        yield f"{field} of {item}", _fill("Workspace", f"{field}: {{", item.format, "}")
    yield "mounts", _fill("Workspace", "mounts: [", "{{name: m{0}, source: /a, target: /b{0}}},".format, "]")
    yield "services", _fill("Workspace", "services: [", "{{name: m{0}, port: 1, hostPort: {0}}},".format, "]")
    deep = "[" * (positions.MAX_DEPTH - 3) + "1" + "]" * (positions.MAX_DEPTH - 3)
    yield "depth", _fill("Workspace", "command: [", f"{deep},".format, "]")
    for field in ("classes", "groups", "users"):
        for item in ("{}", "[]", "{image: {}}", "{mounts: [{}]}", "{resources: {memory: x, cpus: y}}"):
            entry = f"c{{}}: {_plain(item)},"
            yield f"{field} of {item}", _fill("ResourcePolicy", f"{field}: {{", entry.format, "}")
    for field in ("portPools", "mountRoots", "groupOrder"):
        yield f"{field} of {{}}", _fill("ResourcePolicy", f"{field}: [", "{{}},".format, "]")
    yield "members", _fill("ResourcePolicy", "groups: {g: {members: [", "u{},".format, "]}}")
    yield "groupOrder", _fill("ResourcePolicy", "groupOrder: [", "u{},".format, "]")
    for item in ("1", "{}", "{reference: b}"):
        entry = f"a{{}}: {_plain(item)},"
        yield f"images of {item}", _fill("ImageCatalog", "images: {", entry.format, "}")
    yield from _long_values()


def _long_values() -> Iterator[tuple[str, bytes]]:
    """One value that is as long as a file may be, wherever its text is looked into."""
    places = (
        "resources: {{memory: '{}'}}",
        "resources: {{cpus: '{}'}}",
        "resources: {{cpuset: '{}'}}",
        "lifecycle: {{idleTimeout: '{}'}}",
        "image: {{reference: '{}'}}",
        "owner: '{}'",
        "mounts: [{{name: a, source: '/{}', target: /a}}]",
        "secrets: [{{name: a, file: '{}'}}]",
        "env: {{? '{}' : a}}",
    )
    size = positions.MAX_BYTES - 300
    for place in places:
        for part in ("9", "a", " ", "-", "a-", "a.", "a/", "/..", "1h", "0-65535,", "a:", "{owner}"):
            yield f"{place} {part}", _document("Workspace", place.format(part * (size // len(part))))


def _document(kind: str, body: str) -> bytes:
    head = f"apiVersion: wharfinger.dev/v1\nkind: {kind}\nmetadata: {{name: alice}}\nspec:\n  "
    return f"{head}{body}\n".encode()


def _plain(item: str) -> str:
    """Text that `format` leaves as it is."""
    return item.replace("{", "{{").replace("}", "}}")


def _fill(kind: str, head: str, item: Callable[[int], str], tail: str) -> bytes:
    """A document with as many items between head and tail as it may have, by size and number of values."""
    each = _count(kind, f"{head}{item(0)}{item(1)}{tail}") - _count(kind, f"{head}{item(0)}{tail}")
    parts: list[str] = []
    left = positions.MAX_BYTES - 300
    for number in range((positions.MAX_NODES - 50) // each):
        left -= len(item(number))
        if left < 0:
            break
        parts.append(item(number))
    return _document(kind, head + "".join(parts) + tail)


def _count(kind: str, body: str) -> int:
    """Keys and values in a document."""
    document = positions.parse(_document(kind, body), "a.yaml")
    assert isinstance(document, positions.Document), document
    return len(document.keys) + len(document.values)
