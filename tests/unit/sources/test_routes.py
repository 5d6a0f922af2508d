"""Documents in the directory of the site's proxy: whole or not there, and nobody else's is touched."""

import os
import stat
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.model import errors
from controller.model.actions import RemoveRoute, WriteRoute
from controller.model.observed import Unseen
from controller.model.outcomes import Failed, Succeeded
from controller.sources import preparation, routes
from tests.support import builders

FILE = "wharf-alice.yaml"
WRITE, REMOVE = WriteRoute("alice", FILE, "http: {}\n"), RemoveRoute("alice", FILE)


def look(directory: Path) -> dict[str, str] | Unseen:
    return routes.Directory(directory).observe(builders.NOW)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_it_is_written_whole_readable_and_once(tmp_path: Path) -> None:
    assert not routes.write_route(WRITE, tmp_path)
    found = (tmp_path / FILE).stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (os.geteuid(), 0o644)
    assert look(tmp_path) == {FILE: WRITE.text}
    assert routes.write_route(WRITE, tmp_path)
    assert (tmp_path / FILE).stat().st_ino == found.st_ino
    assert not routes.write_route(WriteRoute("alice", FILE, "http: 2\n"), tmp_path)
    assert (tmp_path / FILE).stat().st_ino != found.st_ino, "it was written in place"
    assert names_in(tmp_path) == [FILE]


def test_it_is_removed_once(tmp_path: Path) -> None:
    routes.write_route(WRITE, tmp_path)
    assert not routes.remove_route(REMOVE, tmp_path)
    assert routes.remove_route(REMOVE, tmp_path)
    assert look(tmp_path) == {}


def test_what_is_not_ours_is_not_seen(tmp_path: Path) -> None:
    for name in ("site.yaml", "wharf-alice.yml", "wharf.yaml", "wharf-alice.yaml.bak", ".wharf-x.yaml"):
        (tmp_path / name).write_text("http: {}")
    assert look(tmp_path) == {}


@pytest.mark.parametrize("name", ["site.yaml", "../wharf-alice.yaml", "wharf-../x.yaml"])
def test_no_other_name_is_written_or_removed(tmp_path: Path, name: str) -> None:
    with pytest.raises(AssertionError, match="not ours"):
        routes.write_route(WriteRoute("alice", name, ""), tmp_path)
    with pytest.raises(AssertionError, match="not ours"):
        routes.remove_route(RemoveRoute("alice", name), tmp_path)


def test_a_link_is_no_document_and_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / FILE).symlink_to("elsewhere")
    assert look(tmp_path) == {FILE: ""}
    routes.write_route(WRITE, tmp_path)
    assert look(tmp_path) == {FILE: WRITE.text}
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_what_is_no_text_or_too_large_is_an_empty_document(tmp_path: Path) -> None:
    (tmp_path / "wharf-a.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "wharf-b.yaml").write_bytes(b" " * (routes.LARGEST + 1))
    (tmp_path / "wharf-c.yaml").mkdir()
    os.mkfifo(tmp_path / "wharf-d.yaml")
    assert look(tmp_path) == {f"wharf-{name}.yaml": "" for name in "abcd"}


def test_one_that_was_left_unfinished_counts_as_empty_and_does_not_stay(tmp_path: Path) -> None:
    left = tmp_path / f".{FILE}.unfinished"
    left.write_text("http:")
    assert look(tmp_path) == {FILE: ""}
    routes.remove_route(REMOVE, tmp_path)
    assert names_in(tmp_path) == []
    left.write_text("http:")
    routes.write_route(WRITE, tmp_path)
    assert names_in(tmp_path) == [FILE]


def test_only_what_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    routes.write_route(WRITE, tmp_path)
    directory = routes.Directory(tmp_path)
    assert directory.observe(builders.NOW) == {FILE: WRITE.text}
    monkeypatch.setattr(routes, "_read", lambda *_: "read again")
    assert directory.observe(builders.NOW) == {FILE: WRITE.text}
    (tmp_path / FILE).write_text("http: 3\n")
    assert directory.observe(builders.NOW) == {FILE: "read again"}


def test_a_directory_that_is_not_there_is_unseen_since_then(tmp_path: Path) -> None:
    directory = routes.Directory(tmp_path / "gone")
    first = directory.observe(builders.NOW)
    assert isinstance(first, Unseen)
    assert (first.reason, first.since) == (Reason.PROXY_UNAVAILABLE, builders.NOW)
    assert str(tmp_path / "gone") in first.message
    assert directory.observe(builders.NOW + builders.RULES.deletion_grace) == first


def test_the_executor_says_what_failed(tmp_path: Path) -> None:
    execute = preparation.HostExecutor("/none", "/none", tmp_path).execute
    assert isinstance(execute(WRITE), Succeeded)
    assert isinstance(execute(REMOVE), Succeeded)
    (tmp_path / FILE).mkdir()
    (tmp_path / FILE / "in-the-way").touch()
    for action in (WRITE, REMOVE):
        outcome = execute(action)
        assert isinstance(outcome, Failed)
        assert (outcome.reason, outcome.retryable) == (Reason.PROXY_UNAVAILABLE, True)
        assert FILE in outcome.message
    with pytest.raises(errors.Retryable):
        routes.write_route(WRITE, tmp_path / "gone")
