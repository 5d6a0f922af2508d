"""Reading one file, when it is not what the listing promised a moment ago."""

import os
import pathlib
import threading
import time
from collections.abc import Iterator

import pytest

from controller.sources import readings


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Iterator[int]:
    """The test's directory, open."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_a_link_is_not_followed_even_if_it_was_a_file_a_moment_ago(
    tmp_path: pathlib.Path, folder: int
) -> None:
    (tmp_path / "victim").write_bytes(b"secret")
    (tmp_path / "a.yaml").symlink_to("victim")
    assert isinstance(readings.read(folder, "a.yaml"), readings.NotReadable)


def test_a_pipe_without_a_writer_does_not_stop_the_reader(tmp_path: pathlib.Path, folder: int) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    found: list[object] = []
    reader = threading.Thread(target=lambda: found.append(readings.read(folder, "a.yaml")), daemon=True)
    reader.start()
    reader.join(5)
    assert not reader.is_alive()
    assert isinstance(found[0], readings.NotReadable)
    assert found[0].is_foreign


def test_a_file_that_is_gone_is_none(folder: int) -> None:
    assert readings.look(folder, "a.yaml") is None
    assert readings.read(folder, "a.yaml") is None


def test_a_file_that_changes_while_it_is_read_never_passes_for_a_whole_one(
    tmp_path: pathlib.Path, folder: int
) -> None:
    """A writer goes between a short and a long text; a possible stamp tells the length."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"")
    is_over = threading.Event()

    def write() -> None:
        with path.open("r+b", buffering=0) as file:
            while not is_over.is_set():
                for size in (60_000, 10):
                    file.seek(0)
                    file.write(b"x" * size)
                    file.truncate(size)

    writer = threading.Thread(target=write)
    writer.start()
    torn = whole = 0
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and (torn < 20 or whole < 20):
            reading = readings.read(folder, "a.yaml")
            assert isinstance(reading, readings.Reading)
            assert reading.text is not None
            if reading.stamp.size < 0:
                torn += 1
            else:
                whole += 1
                assert len(reading.text) == reading.stamp.size
    finally:
        is_over.set()
        writer.join()
    assert whole


def test_a_large_file_is_not_read_at_all(tmp_path: pathlib.Path, folder: int) -> None:
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(2**40)
    reading = readings.read(folder, "a.yaml")
    assert isinstance(reading, readings.Reading)
    assert reading.text is None


@pytest.mark.parametrize(
    ("name", "is_spec"),
    [
        ("alice.yaml", True),
        ("alice-batch.2.yml", True),
        ("0.yaml", True),
        ("alice.yaml\n", False),
        ("Alice.yaml", False),
        (".alice.yaml", False),
        ("alice.yam", False),
        ("alice_b.yaml", False),
        ("ä.yaml", False),
        ("alice.yaml.bak", False),
    ],
)
def test_the_name_of_a_spec_is_plain(name: str, is_spec: bool) -> None:
    assert readings.is_spec_name(name) is is_spec
