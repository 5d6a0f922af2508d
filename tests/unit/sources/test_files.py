"""Single documents: absent, settling, settled, rejected."""

import datetime as dt
import os
import pathlib

from controller.api.images import ImageCatalog
from controller.sources import files, loader
from tests.support import specfiles

CATALOG = b"apiVersion: wharfinger.dev/v1\nkind: ImageCatalog\nmetadata: {name: lab}\nspec: {images: {}}\n"
LATER = specfiles.LATE + dt.timedelta(seconds=1)


def _catalog(path: pathlib.Path) -> files.DocumentFile[ImageCatalog]:
    return files.DocumentFile(str(path), dt.timedelta(milliseconds=300), files.document(ImageCatalog))


def test_a_file_that_is_not_there_is_absent(tmp_path: pathlib.Path) -> None:
    assert _catalog(tmp_path / "images.yaml").observe(specfiles.LATE) == files.Absent()


def test_a_file_in_a_directory_that_cannot_be_opened_is_not_absent(tmp_path: pathlib.Path) -> None:
    state = _catalog(tmp_path / "gone" / "images.yaml").observe(specfiles.LATE)
    assert isinstance(state, loader.Rejection)


def test_a_valid_file_settles_and_is_parsed_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "images.yaml"
    path.write_bytes(CATALOG)
    catalog = _catalog(path)
    assert catalog.observe(specfiles.LATE) == files.Settling(specfiles.LATE + dt.timedelta(milliseconds=300))
    first, second = catalog.observe(LATER), catalog.observe(LATER)
    assert isinstance(first, files.Settled)
    assert isinstance(second, files.Settled)
    assert first.parsed.value.metadata.name == "lab"
    assert first.parsed is second.parsed


def test_an_invalid_file_is_rejected_under_its_full_path(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "images.yaml"
    path.write_bytes(CATALOG + b"nix: 1\n")
    catalog = _catalog(path)
    catalog.observe(specfiles.LATE)
    state = catalog.observe(LATER)
    assert isinstance(state, loader.Rejection)
    assert str(state.findings[0]).startswith(f"{path}:5:1: nix: unknown key")


def test_a_link_is_rejected_and_a_vanished_file_is_absent(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "images.yaml"
    path.symlink_to(os.devnull)
    catalog = _catalog(path)
    state = catalog.observe(specfiles.LATE)
    assert isinstance(state, loader.Rejection)
    assert "symbolic link" in state.findings[0].message
    path.unlink()
    assert catalog.observe(LATER) == files.Absent()
