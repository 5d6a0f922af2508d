"""Knows when a container is ours: the claim label is an HMAC over its other labels with the controller's key.

Refuses to believe labels alone: anybody with the Engine's socket can write them, and an image can carry them.
"""

import enum
import hashlib
import hmac
from collections.abc import Mapping

from controller.api import labels


class Ownership(enum.Enum):
    """Whose a container is."""

    OWNED = "owned"
    """Its claim is valid for its labels."""
    FOREIGN = "foreign"
    """It has no claim, or one that is not valid."""


def sign(key: bytes, values: Mapping[str, str]) -> str:
    """Return the claim, 64 hex digits, over the signed labels in their order.

    Each value is written with its length before it, so that no two sets of labels share a text.
    """
    text = "".join(f"{len(values.get(name, ''))}:{values.get(name, '')}" for name in labels.SIGNED)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def judge(key: bytes, values: Mapping[str, str]) -> Ownership:
    """Tell whose a container with these labels is."""
    claim = values.get(labels.CLAIM, "")
    genuine = hmac.compare_digest(claim.encode(), sign(key, values).encode())
    return Ownership.OWNED if genuine else Ownership.FOREIGN


def is_ours(key: bytes, values: Mapping[str, str]) -> bool:
    """Tell whether a container with these labels is ours."""
    return judge(key, values) is Ownership.OWNED


def instance(nonce: bytes, workspace: str, uid: str) -> str:
    """Return 128 bits in hex that differ for each nonce and workspace."""
    return hmac.new(nonce, f"{workspace}/{uid}".encode(), hashlib.sha256).hexdigest()[:32]
