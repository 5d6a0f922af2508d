"""Knows the directories of an installed host, small and in a short path, for commands that run on it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import specfiles

POLICY = """\
apiVersion: wharfinger.dev/v1
kind: ResourcePolicy
metadata: {name: lab}
spec:
  defaultClass: small
  classes:
    small: {image: sample, security: {runAs: Image}}
"""
CATALOG = """\
apiVersion: wharfinger.dev/v1
kind: ImageCatalog
metadata: {name: lab}
spec:
  images:
    sample: {reference: "wharf-sample:1"}
    draft: {reference: "wharf-draft:1", approved: false}
"""


@dataclass(frozen=True)
class Result:
    """What one command line left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Host:
    """Directories of one installed host."""

    root: Path
    config: Path
    specs: Path
    socket: Path

    def write(self, name: str, text: str) -> Path:
        """A file in the spec directory."""
        file = self.specs / name
        lay(file, text)
        return file


def lay(file: Path, text: str) -> None:
    """Writes a file as a rename leaves it: it is believed at once, not only when it was quiet for 2 s."""
    file.write_text(text)
    specfiles.age(file)


def spec(name: str, fields: str = "class: small") -> str:
    """The text of a small spec."""
    return f"apiVersion: wharfinger.dev/v1\nkind: Workspace\nmetadata: {{name: {name}}}\nspec:\n  {fields}\n"


Wharf = Callable[..., Result]
"""Runs one command line on a host."""
