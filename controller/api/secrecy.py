"""Which names promise a secret value, and how such a value is shown.

It refuses to guess from values, apart from the password of a URL: a secret under a harmless
name is shown.
"""

import re
from typing import Final

HIDDEN: Final = "(hidden)"
"""Shown in place of a value."""

_NAME = re.compile(
    r"TOKEN|PASSW(?:OR)?D|PASSPHRASE|SECRET|CREDENTIAL|AUTHORIZATION|COOKIE|(?:^|[^A-Z])(?:API|SSH|ACCESS|PRIVATE)?KEYS?$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def names_a_secret(name: str) -> bool:
    """Whether a variable or key of this name usually holds a secret: `DB_PASSWORD`, `api_key`."""
    return _NAME.search(name) is not None


def shown(name: str, value: str) -> str:
    """The value of a variable as it may be shown: hidden under a secret's name, or a URL's password is."""
    if names_a_secret(name):
        return HIDDEN
    return _URL_PASSWORD.sub(HIDDEN, value) if "://" in value else value
