"""How a path in a document reads, as people write it; knows no format and no document."""

import re
from collections.abc import Iterable

_SIMPLE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def render_path(path: Iterable[str | int]) -> str:
    """A path as people write it: `spec.mounts[0].source`, `metadata.labels["a.b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _SIMPLE_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            shown = part.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{shown}"]'
    return text
