"""How references to images read: registry, repository, tag and digest, and which of them mean the same.

It knows names alone; what a registry or an Engine has under them is found out elsewhere.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

_HUB = "docker.io"
_HUB_NAMES = {_HUB, "index.docker.io", "registry-1.docker.io"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference in full.

    Attributes:
        repository: with its registry, `docker.io/library/python`.
        tag: `latest` where neither tag nor digest is written; empty where only a digest is.
        digest: `sha256:...`, or empty.
    """

    repository: str
    tag: str
    digest: str


@functools.lru_cache(maxsize=4096)
def read(text: str) -> Reference:
    """Read a reference as the Engine does: what is left out is Docker's hub, its library and `latest`."""
    name, _, digest = text.partition("@")
    head, colon, tail = name.rpartition(":")
    tagged = bool(colon) and "/" not in tail
    path, tag = (head, tail) if tagged else (name, "" if digest else "latest")
    registry, slash, rest = path.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, rest = _HUB, path
    if registry in _HUB_NAMES:
        registry = _HUB
        rest = rest if "/" in rest else f"library/{rest}"
    return Reference(f"{registry}/{rest}", tag, digest)


def same(one: str, other: str) -> bool:
    """Tell whether two references mean the same by their text; a digest makes the tag beside it a remark."""
    return _meaning(read(one)) == _meaning(read(other))


def among(digests: Iterable[str], reference: str) -> str | None:
    """Return that of `registry/name@sha256:...` that is of the reference's own repository.

    It is the digest that the reference names, where it names one.
    """
    wanted = read(reference)
    own = [digest for digest in digests if read(digest).repository == wanted.repository]
    named = [digest for digest in own if wanted.digest and digest.endswith(f"@{wanted.digest}")]
    return min(named or own, default=None)


def _meaning(reference: Reference) -> tuple[str, str]:
    return reference.repository, reference.digest or reference.tag
