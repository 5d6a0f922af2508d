"""A new container takes the place of an old one only if it runs well, and the old one is never lost."""

from pathlib import Path
from typing import Any

import pytest

from tests.support import herd, process
from tests.support.fleet import Fleet

AT_ONCE: process.Tree = {"lifecycle": {"changes": "Immediate", "stopGrace": "1s"}}
FAILURES: dict[str, tuple[process.Tree, str]] = {
    "bad-program": ({"command": ["/bin/nothing"], "init": "Image"}, "/bin/nothing"),
    "not-found": ({"command": ["/bin/nothing"]}, "ended with code 127"),
    "ends-at-once": ({"command": ["sh", "-c", "sleep 1; exit 7"]}, "ended with code 7"),
    "unhealthy": ({"image": {"reference": "wharf-unhealthy:1"}}, "health check"),
}
"""What is wrong with the new container, and what must be said of it."""


@pytest.fixture(scope="module", autouse=True)
def replaced(fleet: Fleet) -> str:
    """The first container of a workspace that is replaced beside the first test, since that takes 10 s."""
    first: str = fleet.up("kept", AT_ONCE)["Id"]
    (fleet.root("kept") / "thesis").write_text("")
    fleet.site.spec("kept", {**AT_ONCE, "image": "second"})
    return first


@pytest.fixture
def unhealthy_image(fleet: Fleet) -> str:
    """An image whose health check fails."""
    made = fleet.docker.create_container("wharf-sample:1")
    check = ["HEALTHCHECK --interval=1s --retries=1 CMD false"]
    fleet.docker.commit(made["Id"], "wharf-unhealthy", "1", changes=check)
    fleet.docker.remove_container(made["Id"])
    return "wharf-unhealthy:1"


def kept(fleet: Fleet, name: str) -> list[dict[str, Any]]:
    found = [one for one in fleet.all_of(name) if one["Names"] != [f"/workspace-{name}"]]
    return [fleet.docker.inspect_container(one["Id"]) for one in found]


def life(container: dict[str, Any]) -> tuple[str, str]:
    return container["Id"], container["State"]["StartedAt"]


def passes(fleet: Fleet, count: int) -> None:
    """Lets so many passes go by."""

    def made() -> float:
        return fleet.controller.metric("reconcile_total", controller="pass", result="success") or 0

    wanted = made() + count
    fleet.controller.until(lambda: made() >= wanted, f"{count} passes")


def upper(container: dict[str, Any]) -> list[str]:
    """Names at the top of a container's writable layer."""
    layer = container["GraphDriver"]["Data"]
    return sorted(path.name for path in Path(layer["UpperDir"]).iterdir())


def _with_work(fleet: Fleet) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """A workspace for each failure, with work in its layer and in its mount: their specs and containers."""
    specs: dict[str, dict[str, Any]] = {}
    for name in FAILURES:
        home = fleet.site.storage / name
        home.mkdir()
        mounts = [{"name": "home", "source": str(home), "target": "/data", "mode": "ReadWrite"}]
        specs[name] = {**AT_ONCE, "mounts": mounts}
        fleet.site.spec(name, specs[name])
    for name in FAILURES:
        fleet.controller.runs(name)
        (fleet.root(name) / "thesis").write_text("in the layer")
        (fleet.root(name) / "data" / "thesis").write_text("in the mount")
    return specs, {name: fleet.container(name)["Id"] for name in FAILURES}


def _untouched(fleet: Fleet, name: str, container: str) -> None:
    now = fleet.container(name)
    assert (now["Id"], now["State"]["Running"]) == (container, True)
    assert (fleet.root(name) / "thesis").read_text() == "in the layer"
    assert (fleet.root(name) / "data" / "thesis").read_text() == "in the mount"
    assert fleet.controller.condition(name, "Ready")["status"] == "True"


def _replaced(fleet: Fleet, name: str, container: str) -> None:
    fleet.runs_another(name, container)
    assert (fleet.root(name) / "data" / "thesis").read_text() == "in the mount"
    old = next(one for one in kept(fleet, name) if one["Id"] == container)
    assert "thesis" in upper(old)


def test_a_new_container_that_fails_gives_way_to_the_old_one_with_all_its_files(
    fleet: Fleet, unhealthy_image: str
) -> None:
    controller = fleet.controller
    specs, before = _with_work(fleet)
    with herd.listening(fleet.engine) as chronicle:
        for name, (fields, _) in FAILURES.items():
            fleet.site.spec(name, {**specs[name], **fields})
        for name, (_, why) in FAILURES.items():
            held = controller.decided(name, "ReplacementFailed")
            assert (held["verdict"], why in held["message"]) == ("Hold", True), held
            assert "wharf restart" in held["message"]
        # What fails is not tried again: not by a later pass, and not by an edit that changes nothing of it.
        for name, (fields, _) in FAILURES.items():
            fleet.site.spec(name, {**specs[name], **fields}, annotations={"note": "edited"})
        passes(fleet, 3)
        for name in FAILURES:
            assert controller.workspace(name)["metadata"]["generation"] == 3
            assert controller.status(name)["decision"]["reason"] == "ReplacementFailed"
            assert chronicle.counts(name)[0] == 1, "it was made once"
            _untouched(fleet, name, before[name])
        # Another template is another matter; what the old container held stays with it.
        for name in FAILURES:
            fleet.site.spec(name, {**specs[name], "image": "second"})
        for name in FAILURES:
            _replaced(fleet, name, before[name])
        assert [one for one in chronicle.of("destroy") if one.container in before.values()] == []


def test_a_spec_that_is_edited_again_while_its_change_is_under_way(fleet: Fleet) -> None:
    controller, client = fleet.controller, fleet.docker
    first = fleet.up("again", AT_ONCE)["Id"]
    (fleet.root("again") / "one").write_text("")
    fleet.site.spec("again", {**AT_ONCE, "env": {"HUE": "red"}})
    controller.decided("again", "Proving")
    second = fleet.container("again")["Id"]
    (fleet.root("again") / "two").write_text("")
    fleet.site.spec("again", {**AT_ONCE, "env": {"HUE": "blue"}})

    def blue() -> bool:
        found = client.containers(filters={"name": "^/workspace-again$"})
        return bool(found) and "HUE=blue" in client.inspect_container(found[0]["Id"])["Config"]["Env"]

    controller.until(blue, "the last word is in force")
    left = {one["Id"]: upper(one) for one in kept(fleet, "again")}
    assert left.keys() == {first, second}, "both have run, so both are kept"
    assert ("one" in left[first], "two" in left[second]) == (True, True)


def test_a_kept_container_that_a_person_renames_starts_or_removes_disturbs_nobody(
    fleet: Fleet, replaced: str
) -> None:
    controller, old = fleet.controller, replaced
    controller.until(lambda: fleet.has_another("kept", old), "the new one")
    controller.runs("kept")
    now = life(fleet.container("kept"))
    name = fleet.retained("kept")["Name"].removeprefix("/")

    fleet.docker.start(old)
    controller.until(lambda: not fleet.docker.inspect_container(old)["State"]["Running"], "one is enough")
    controller.runs("kept")
    assert life(fleet.container("kept")) == now
    assert "thesis" in upper(fleet.docker.inspect_container(old))

    fleet.docker.rename(old, "mine")
    passes(fleet, 3)
    assert fleet.docker.inspect_container(old)["Name"] == "/mine"
    controller.runs("kept")
    assert life(fleet.container("kept")) == now

    fleet.docker.rename(old, name)
    fleet.docker.remove_container(old)
    controller.until(
        lambda: name not in fleet.site.wharf("get", "retained", "kept", "-o", "name").out, "it is not listed"
    )
    controller.runs("kept")
    assert life(fleet.container("kept")) == now
