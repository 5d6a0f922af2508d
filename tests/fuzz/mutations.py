"""Knows how spec files are broken: by bytes, tokens, structure and bombs; refuses to judge the result.

Every text comes from a `random.Random`, so that a seed and a number name it.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Final

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

TOKENS: Final = (
    "null", "true", "no", "~", "0", "-1", "1e999", "0x7f", "0123", "22:22", "2024-01-02", ".inf", "9" * 30,
    '""', "''", "'", '"', '"\\0"', '"\\uD800"', "[", "]", "{", "}", "[]", "{}", ":", "- ", "? ", "|", ">",
    "|-", "&a", "*a", "!!str", "!!python/object:os.system", "!<x>", "<<", "---", "...", "%YAML 1.1", "#",
    "\t", "\n", "\r", "\u2028", "\ufeff", "\x00", "\x1b", "ä", "\U0001d49c", "64", "64g", "48h", "-5m",
    "../..", "/", "{owner}", "alice",
)  # fmt: skip


def break_bytes(dice: random.Random) -> bytes:
    """One to eight bytes flipped, removed, doubled or put in."""
    text = bytearray(SEED_TEXT)
    for _ in range(dice.randint(1, 8)):
        place = dice.randrange(len(text))
        match dice.randrange(4):
            case 0:
                text[place] ^= 1 << dice.randrange(8)
            case 1:
                del text[place : place + dice.randint(1, 20)]
            case 2:
                text[place:place] = text[place : place + dice.randint(1, 40)]
            case _:
                text[place:place] = dice.randbytes(dice.randint(1, 4))
    return bytes(text)


def cut(dice: random.Random) -> bytes:
    """A prefix, sometimes with the head of another text over it."""
    text = SEED_TEXT[: dice.randrange(len(SEED_TEXT))]
    return text + b"...\n" * dice.randrange(2)


def break_tokens(dice: random.Random) -> bytes:
    """Words of the text replaced by, or followed by, words that mean something in YAML."""
    words = SEED_TEXT.decode().split(" ")
    for _ in range(dice.randint(1, 6)):
        place = dice.randrange(len(words))
        words[place : place + dice.randrange(2)] = [dice.choice(TOKENS)]
    return " ".join(words).encode("utf-8", "surrogatepass")


def soup(dice: random.Random) -> bytes:
    """Nothing but such words."""
    return "".join(
        dice.choice(TOKENS) + dice.choice(("", " ", "\n", ": ")) for _ in range(dice.randrange(300))
    ).encode()


def _tree(dice: random.Random, depth: int) -> object:
    leaves = (None, True, 0, -7, 1.5, "", "alice", "64g", "48h", "/a", "../x", "Running", 10**18)
    if depth <= 0 or dice.random() < 0.4:
        return dice.choice(leaves)
    keys = (
        "name",
        "source",
        "target",
        "mode",
        "port",
        "memory",
        "alias",
        "count",
        "x",
        "1",
        "file",
        "idleTimeout",
    )
    if dice.random() < 0.5:
        return [_tree(dice, depth - 1) for _ in range(dice.randrange(5))]
    return {dice.choice(keys): _tree(dice, depth - 1) for _ in range(dice.randrange(6))}


def misfit(dice: random.Random) -> bytes:
    """Well-formed documents whose values have the wrong shape."""
    fields = (
        "owner", "class", "desiredState", "image", "command", "env", "secrets", "init", "pull", "resources",
        "gpu", "mounts", "services", "security", "network", "lifecycle", "nix",
    )  # fmt: skip
    spec = {dice.choice(fields): _tree(dice, 4) for _ in range(dice.randint(1, 8))}
    document = {
        "apiVersion": "wharfinger.dev/v1",
        "kind": "Workspace",
        "metadata": {"name": "alice"},
        "spec": spec,
    }
    if dice.random() < 0.2:
        document["metadata"] = _tree(dice, 3)  # type: ignore[assignment]
    return json.dumps(document).encode()


def bomb(dice: random.Random) -> bytes:
    """Texts that are small but would grow, nest or take long."""
    size = dice.randint(10, 60_000)
    bombs = (
        b"[" * size,
        b"{a: " * (size // 4),
        b"- " * (size // 2),
        b"- a\n" * (size // 4),
        b"".join(b"%sa:\n" % (b" " * level) for level in range(min(size, 300))),
        b"? " * (size // 2),
        b"a: " + b"'" * size,
        b"a: " + b'"' + b"\\" * size,
        b"a: |\n" + b" x\n" * (size // 3),
        b"#" * size,
        b"a" * size,
        b"a: " + b"9" * size,
        b"a: " + b"&a" * (size // 2),
        b"".join(b"l%d: &l%d [*l%d, *l%d]\n" % (n + 1, n + 1, n, n) for n in range(size // 40)),
        b"".join(b"k%d: 1\n" % number for number in range(size // 8)),
        b"k: 1\n" * (size // 5),
        b"!" * size,
        b"%" * size,
        b"\t" * size,
        b"\r" * size,
        b": " * (size // 2),
        b"a: b: " * (size // 6),
        "ä".encode() * (size // 2),
        dice.randbytes(size),
    )
    return SEED_TEXT * dice.randrange(2) + dice.choice(bombs)


KINDS: Final[Mapping[str, Callable[[random.Random], bytes]]] = {
    "bytes": break_bytes,
    "prefixes": cut,
    "tokens": break_tokens,
    "soup": soup,
    "misfits": misfit,
    "bombs": bomb,
}
