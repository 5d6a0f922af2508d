"""Login names as they come from elsewhere: which are some, and what a workspace is called for one.

It reads no file and makes no workspace.
"""

import re
from typing import Final

import pydantic

from controller.api import fields

_LOGIN: Final = pydantic.TypeAdapter[str](fields.Login)
_REST: Final = re.compile(r"[^a-z0-9]+")
LONGEST: Final = 40


def is_login(text: str) -> bool:
    """Whether the text can be the name of an account."""
    try:
        _LOGIN.validate_python(text)
    except pydantic.ValidationError:
        return False
    return True


def label(login: str) -> str:
    """A name for something of this person's: in lower case, a dash for each run of anything else.

    `Jane.Doe@uni.example` is `jane-doe-uni-example`, as in host names. It may be longer than a workspace's
    name can be, and is empty for a login without any letter or digit.
    """
    return _REST.sub("-", login.lower()).strip("-")
