"""Knows how spec files are broken: by bytes, tokens, structure and bombs; refuses to judge the result.

A random text comes from a `random.Random`, so that a seed and a number name it; the others are all that there
are of their kind.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tests.fuzz.samples import SEED_TEXT, giants, texts

_TEXTS: Final = tuple(texts().values())
_GIANTS: Final = tuple(giants().values())

TOKENS: Final = (
    "null", "true", "no", "~", "0", "-1", "1e999", "0x7f", "0123", "22:22", "2024-01-02", ".inf", "9" * 30,
    '""', "''", "'", '"', '"\\0"', '"\\uD800"', "[", "]", "{", "}", "[]", "{}", ":", "- ", "? ", "|", ">",
    "|-", "&a", "*a", "!!str", "!!python/object:os.system", "!<x>", "<<", "---", "...", "%YAML 1.1", "#",
    "\t", "\n", "\r", "\u2028", "\ufeff", "\x00", "\x1b", "ä", "\U0001d49c", "64", "64g", "48h", "-5m",
    "../..", "/", "{owner}", "alice",
)  # fmt: skip


def break_bytes(dice: random.Random) -> bytes:
    """One to eight bytes flipped, removed, doubled or put in."""
    return _with_broken_bytes(dice, dice.choice(_TEXTS))


def _with_broken_bytes(dice: random.Random, whole: bytes) -> bytes:
    text = bytearray(whole)
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
    whole = dice.choice(_TEXTS)
    return whole[: dice.randrange(len(whole))] + b"...\n" * dice.randrange(2)


def prefixes(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Every proper prefix of a text, by its length."""
    return ((f"{end}", text[:end]) for end in range(len(text)))


def flips(text: bytes) -> Iterator[tuple[str, bytes]]:
    """The text with each bit of each byte flipped, and with each byte inverted, by place and mask."""
    for place, byte in enumerate(text):
        for mask in (*(1 << bit for bit in range(8)), 0xFF):
            yield f"{place}^{mask:02x}", b"%s%c%s" % (text[:place], byte ^ mask, text[place + 1 :])


def break_tokens(dice: random.Random) -> bytes:
    """Words of the text replaced by, or followed by, words that mean something in YAML."""
    words = dice.choice(_TEXTS).decode().split(" ")
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


_FIELDS: Final = {
    "Workspace": (
        "owner", "class", "desiredState", "image", "command", "env", "secrets", "init", "pull", "resources",
        "gpu", "mounts", "services", "security", "network", "lifecycle", "nix",
    ),
    "ResourcePolicy": (
        "defaultClass", "classes", "groups", "users", "groupOrder", "portPools", "mountRoots", "defaults",
    ),
    "ImageCatalog": ("images",),
}  # fmt: skip


def misfit(dice: random.Random) -> bytes:
    """Well-formed documents whose values have the wrong shape."""
    kind = dice.choice(("Workspace", "Workspace", "ResourcePolicy", "ImageCatalog"))
    spec = {dice.choice(_FIELDS[kind]): _tree(dice, 4) for _ in range(dice.randint(1, 8))}
    document = {
        "apiVersion": "wharfinger.dev/v1",
        "kind": kind,
        "metadata": {"name": "alice"},
        "spec": spec,
    }
    if dice.random() < 0.2:
        document["metadata"] = _tree(dice, 3)  # type: ignore[assignment]
    return json.dumps(document).encode()


def giant(dice: random.Random) -> bytes:
    """A text at the limits of what is read, as it is or with a few broken bytes."""
    whole = dice.choice(_GIANTS)
    return whole if dice.random() < 0.5 else _with_broken_bytes(dice, whole)


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


RANDOM: Final[Mapping[str, Callable[[random.Random], bytes]]] = {
    "bytes": break_bytes,
    "cuts": cut,
    "tokens": break_tokens,
    "soup": soup,
    "misfits": misfit,
    "bombs": bomb,
    "giants": giant,
}

EVERY: Final[Mapping[str, int]] = {"giants": 20}
"""Kinds of which only every so many is made: they take long."""
COMPLETE: Final[Mapping[str, Callable[[bytes], Iterator[tuple[str, bytes]]]]] = {
    "prefixes": prefixes,
    "flips": flips,
}
"""Those of which each text has a number that is known."""
