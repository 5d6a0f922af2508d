"""The spec directory as the command writes it: which file declares a workspace, and how one is put there.

Each file appears whole or not at all, as the user who calls; permissions are the file system's.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.api import workspace
from controller.cli import documents, exits
from controller.sources import loader, readings

_NEW_FILE_MODE: Final = 0o644


@dataclass(frozen=True, slots=True)
class SpecText:
    """One valid spec and the bytes that say it."""

    name: str
    text: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, hex: what the controller knows an accepted content by."""
        return hashlib.sha256(self.text).hexdigest()


def parse(text: bytes, title: str) -> SpecText:
    """The spec in `text`; `title` names it in findings.

    Raises:
        exits.Failure: it is not valid, with one line for each finding.
    """
    result = loader.parse_document(text, title, workspace.Workspace)
    if isinstance(result, loader.Rejection):
        lines = [*map(str, result.findings), "nothing was written"]
        raise exits.Failure(exits.ExitCode.ERROR, "\n".join(lines))
    return SpecText(result.value.metadata.name, text)


def names(directory: Path) -> Iterator[tuple[str, readings.Reading | readings.NotReadable]]:
    """Every file of the directory that is looked into, by name, with its content or why it cannot be a spec.

    Raises:
        exits.Failure: the directory cannot be read.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise documents.unreadable(directory, error) from error
    try:
        for name in sorted(child.name for child in directory.iterdir()):
            found = readings.read(descriptor, name) if readings.is_spec_name(name) else None
            if found is not None:
                yield name, found
    finally:
        os.close(descriptor)


def find(directory: Path, name: str) -> Path | None:
    """The file that declares the workspace of that name, valid or not; None where there is none.

    Raises:
        exits.Failure: the directory cannot be read, or two files declare it.
    """
    found = []
    for file, reading in names(directory):
        if isinstance(reading, readings.Reading) and reading.text is not None:
            result = loader.parse_document(reading.text, file, workspace.Workspace)
            if result.name == name:
                found.append(directory / file)
    if len(found) > 1:
        listed = ", ".join(map(str, found))
        raise exits.Failure(exits.ExitCode.REFUSED, f"workspace/{name} is declared in two files: {listed}")
    return found[0] if found else None


def write(file: Path, text: bytes) -> None:
    """Put a file in its place, whole and durable, or leave what was there. An existing file keeps its mode.

    Raises:
        exits.Failure: the caller may not write there, or the disk cannot.
    """
    try:
        mode = file.stat().st_mode & 0o777 if file.exists() else _NEW_FILE_MODE
        _replace(file, text, mode)
    except OSError as error:
        raise documents.unreadable(file, error) from error


def create(file: Path, text: bytes) -> bool:
    """Put a new file in its place, whole and durable; False where there is one already, which is left alone.

    Raises:
        exits.Failure: the caller may not write there, or the disk cannot.
    """
    try:
        temporary = _written(file, text, _NEW_FILE_MODE)
        try:
            os.link(temporary, file)  # unlike a rename, it never takes the place of a file
        finally:
            temporary.unlink()
        _sync(file.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise documents.unreadable(file, error) from error
    return True


def _replace(file: Path, text: bytes, mode: int) -> None:
    temporary = _written(file, text, mode)
    try:
        temporary.rename(file)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync(file.parent)


def _written(file: Path, text: bytes, mode: int) -> Path:
    """A finished file beside `file`, under a name that nobody looks into."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    return Path(name)


def remove(file: Path) -> None:
    """Remove a file durably.

    Raises:
        exits.Failure: the caller may not, or it is gone.
    """
    try:
        file.unlink()
        _sync(file.parent)
    except OSError as error:
        raise documents.unreadable(file, error) from error


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
