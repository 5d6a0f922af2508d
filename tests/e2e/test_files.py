"""What people write into the spec directory, right or wrong: nothing that runs is disturbed, all is told."""

import json
import os
import shutil
from typing import Any

import pytest

from tests.support import process
from tests.support.fleet import Fleet

GOOD = process.text_of(process.document("NAME"))
HEAD = "apiVersion: wharfinger.dev/v1\nkind: Workspace\nmetadata: {name: NAME}\n"
BOMB = HEAD + "spec:\n  env: &a {A: x}\n  command: [*a, *a, *a]\n"


def instance(container: dict[str, Any]) -> tuple[str, str]:
    return container["Id"], container["State"]["StartedAt"]


def rejected(fleet: Fleet, name: str) -> str:
    """What is said of a file that was not accepted: in the status, the log and the metrics."""
    controller = fleet.controller

    def look() -> str | None:
        accepted = controller.condition(name, "SpecAccepted")
        return accepted["message"] if accepted.get("status") == "False" else None

    message = controller.until(look, f"the file of {name} is rejected")
    line = controller.said("spec_rejected", workspace=name)
    assert line["message"].startswith(f"{name}.yaml")
    controller.until(
        lambda: (controller.metric("spec_files", kind="Workspace", state="invalid") or 0) >= 1,
        "it is counted",
    )
    return message


WRONG: dict[str, tuple[str, list[str]]] = {
    "broken": (HEAD + "spec: {class: small\n", ["broken.yaml:"]),
    "unknown-key": (HEAD + "spec:\n  classs: small\n", ["unknown-key.yaml:5:3", "spec.classs", "class"]),
    "no-unit": (HEAD + 'spec:\n  resources: {memory: "32"}\n', ["no-unit.yaml:5", "memory", "32g"]),
    "doubled": (HEAD + "spec:\n  class: small\n  class: bare\n", ["doubled.yaml:6:3", "spec.class"]),
    "bomb": (BOMB, ["bomb.yaml:5", "anchor"]),
    "large": (HEAD + "spec:\n  class: small\n#" + "x" * 65536, ["large.yaml", "64 KiB"]),
    "number": (HEAD + "spec:\n  env:\n    A: 1\n", ["number.yaml:6", "spec.env.A", 'A: "1"']),
    "second": (HEAD + "spec: {}\n---\n" + HEAD, ["second.yaml:5", "document"]),
}
"""Texts of files that are wrong, and what must be said of each."""


@pytest.fixture(scope="module")
def spoilt(fleet: Fleet) -> dict[str, tuple[str, str]]:
    """Workspaces that ran before their files became wrong, all at once: how they ran."""
    for name in WRONG:
        fleet.site.spec(name)
    for name in WRONG:
        fleet.controller.runs(name)
    before = {name: instance(fleet.container(name)) for name in WRONG}
    for name, (text, _) in WRONG.items():
        fleet.site.place(fleet.site.specs / f"{name}.yaml", text.replace("NAME", name))
    return before


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_wrong_changes_nothing_and_says_where_and_what(
    fleet: Fleet, spoilt: dict[str, tuple[str, str]], name: str
) -> None:
    before, (_, expected) = spoilt[name], WRONG[name]
    message = rejected(fleet, name)
    assert all(part in message for part in expected), message
    assert instance(fleet.container(name)) == before
    assert fleet.controller.condition(name, "Ready")["status"] == "True"
    validated = fleet.site.wharf("validate", str(fleet.site.specs / f"{name}.yaml"))
    assert validated.code == 1
    assert message.split(" (and")[0].split(".yaml", 1)[1] in validated.out + validated.err
    fleet.site.spec(name)
    fleet.controller.until(
        lambda: fleet.controller.condition(name, "SpecAccepted")["status"] == "True", "it is mended"
    )
    assert instance(fleet.container(name)) == before


def test_a_wrong_file_that_never_was_right_makes_nothing(fleet: Fleet) -> None:
    fleet.site.place(fleet.site.specs / "never.yaml", HEAD.replace("NAME", "never") + "spec: {clas: small}\n")
    held = fleet.controller.decided("never", "SpecRejected")
    assert held["verdict"] == "Hold"
    assert "never.yaml:4" in held["message"]
    assert fleet.all_of("never") == []
    (fleet.site.specs / "never.yaml").unlink()


def test_a_half_written_file_is_not_believed(fleet: Fleet) -> None:
    """The first half is valid by itself and would take the command away."""
    whole = HEAD.replace("NAME", "half") + "spec:\n  class: small\n" + '  command: ["sleep", "1000"]\n'
    path = fleet.site.specs / "half.yaml"
    half = whole[: whole.index("  command")]
    mark = fleet.controller.mark()
    with path.open("w") as file:
        file.write(half)
        file.flush()
        fleet.controller.until(
            lambda: (fleet.controller.metric("spec_files", kind="Workspace", state="settling") or 0) >= 1,
            "the file is seen",
        )
        assert fleet.all_of("half") == []
        file.write(whole[len(half) :])
    fleet.controller.runs("half")
    assert fleet.container("half")["Config"]["Cmd"] == ["sleep", "1000"]
    assert fleet.controller.said("spec_accepted", mark, workspace="half")["generation"] == 1
    assert fleet.controller.workspace("half")["metadata"]["generation"] == 1


def test_two_files_with_one_name_are_both_rejected_and_the_running_one_stays(fleet: Fleet) -> None:
    before = instance(fleet.up("twice"))
    other = fleet.site.specs / "other-file.yaml"
    fleet.site.place(other, process.text_of(process.document("twice", {"env": {"A": "b"}})))
    controller = fleet.controller
    controller.until(
        lambda: controller.condition("twice", "SpecAccepted").get("reason") == "SpecConflict", "the conflict"
    )
    message = controller.condition("twice", "SpecAccepted")["message"]
    assert "other-file.yaml" in message
    assert "twice.yaml" in message
    assert instance(fleet.container("twice")) == before
    other.unlink()
    controller.runs("twice")
    assert instance(fleet.container("twice")) == before


def mount(source: object, **fields: object) -> process.Tree:
    return {"mounts": [{"name": "data", "source": str(source), "target": "/data", **fields}]}


def test_a_mount_outside_the_roots_is_held(fleet: Fleet) -> None:
    fleet.site.spec("outside", mount("/etc"))
    held = fleet.controller.decided("outside", "MountOutsideRoots")
    assert held["verdict"] == "Hold"
    assert "/etc" in held["message"]
    assert str(fleet.site.storage) in held["message"]
    assert fleet.all_of("outside") == []


def test_a_mount_with_dots_is_rejected(fleet: Fleet) -> None:
    fleet.site.spec("dots", mount(fleet.site.storage / ".." / "etc"))
    held = fleet.controller.decided("dots", "SpecRejected")
    assert "spec.mounts" in held["message"]
    assert ".." in held["message"]
    assert fleet.all_of("dots") == []
    (fleet.site.specs / "dots.yaml").unlink()


def test_a_mount_through_a_link_is_held_with_the_link_named(fleet: Fleet) -> None:
    (fleet.site.storage / "way-out").symlink_to("/etc")
    fleet.site.spec("link", mount(fleet.site.storage / "way-out"))
    fleet.site.spec("below-link", mount(fleet.site.storage / "way-out" / "apt"))
    for name in ("link", "below-link"):
        held = fleet.controller.decided(name, "MountUnsafe")
        assert held["verdict"] == "Hold"
        assert "way-out" in held["message"]
        assert "link" in held["message"]
        assert fleet.all_of(name) == []


def test_a_mount_below_a_directory_that_others_can_change_is_held_with_the_remedy(fleet: Fleet) -> None:
    (fleet.site.storage / "shared" / "data").mkdir(parents=True)
    (fleet.site.storage / "shared").chmod(0o777)
    fleet.site.spec("shared", mount(fleet.site.storage / "shared" / "data"))
    held = fleet.controller.decided("shared", "MountUnsafe")
    assert str(fleet.site.storage / "shared") in held["message"]
    assert "chmod" in held["message"]
    (fleet.site.storage / "shared").chmod(0o755)
    fleet.controller.runs("shared")


def test_a_mount_source_that_is_missing_is_held_until_it_is_there(fleet: Fleet) -> None:
    fleet.site.spec("unmounted", mount(fleet.site.storage / "later"))
    held = fleet.controller.decided("unmounted", "MountMissing")
    assert str(fleet.site.storage / "later") in held["message"]
    (fleet.site.storage / "later").mkdir()
    fleet.controller.runs("unmounted")


def test_an_owner_whom_the_host_does_not_know_is_held(fleet: Fleet) -> None:
    fleet.site.spec("nobody-there", {"class": "own", "owner": "no-such-user"})
    held = fleet.controller.decided("nobody-there", "AccountUnknown")
    assert held["verdict"] == "Hold"
    assert "no-such-user" in held["message"]
    assert fleet.all_of("nobody-there") == []


def test_an_owner_is_for_life(fleet: Fleet) -> None:
    before = instance(fleet.up("given", {"owner": "games"}))
    fleet.site.spec("given", {"owner": "mail"})
    held = fleet.controller.decided("given", "OwnerChanged")
    assert "games" in held["message"]
    assert "mail" in held["message"]
    assert instance(fleet.container("given")) == before


@pytest.mark.parametrize(
    ("name", "reference"),
    [("no-registry", "127.0.0.1:1/lab/tool:1"), ("no-image", "127.0.0.1:1/nothing/at-all:2")],
)
def test_an_image_that_cannot_be_had_is_held_and_tried_again(fleet: Fleet, name: str, reference: str) -> None:
    fleet.site.spec(name, {"image": {"reference": reference}})
    held = fleet.controller.decided(name, "ImageUnavailable")
    assert held["verdict"] == "Hold"
    assert reference in held["message"]
    assert "127.0.0.1:1" in held["message"]
    assert fleet.controller.status(name)["nextAttempt"]
    assert fleet.all_of(name) == []
    fleet.docker.tag("wharf-sample:1", reference.rpartition(":")[0], reference.rpartition(":")[2])
    fleet.controller.runs(name)
    fleet.docker.remove_container(f"workspace-{name}", force=True)
    fleet.controller.runs(name)


def test_an_image_that_may_not_be_pulled_is_held(fleet: Fleet) -> None:
    fleet.site.spec("no-pull", {"image": {"reference": "wharf-nothing:9"}, "pull": "Never"})
    held = fleet.controller.decided("no-pull", "ImageUnavailable")
    assert "wharf-nothing:9" in held["message"]
    assert "Never" in held["message"]


def test_an_alias_that_the_catalog_lacks_is_held(fleet: Fleet) -> None:
    fleet.site.spec("no-alias", {"image": {"alias": "sampel"}})
    held = fleet.controller.decided("no-alias", "ImageUnknown")
    assert "sampel" in held["message"]


def test_all_gpus_are_for_those_whom_the_policy_names_and_the_field_is_named(fleet: Fleet) -> None:
    fleet.site.spec("gpu", {"gpu": {"mode": "All"}})
    held = fleet.controller.decided("gpu", "GpuModeRefused")
    assert held["verdict"] == "Hold"
    assert "spec.gpu.mode" in held["message"]
    assert fleet.all_of("gpu") == []
    assert fleet.controller.condition("gpu", "Stalled")["reason"] == "GpuModeRefused"


def test_an_idle_time_is_accepted_and_said_not_to_be_enforced(fleet: Fleet) -> None:
    fleet.up("idle", {"lifecycle": {"idleTimeout": "48h"}})
    told = fleet.controller.condition("idle", "NotEnforced")
    assert told["status"] == "True"
    assert "spec.lifecycle.idleTimeout" in told["message"]
    assert "spec.lifecycle.idleTimeout" in fleet.site.wharf("describe", "workspace", "idle").out


def test_a_policy_that_breaks_or_vanishes_loosens_nothing(fleet: Fleet) -> None:
    before = instance(fleet.up("ruled"))
    controller, policy = fleet.controller, fleet.site.etc / "policy.yaml"
    good = policy.read_text()
    try:
        mark = controller.mark()
        fleet.site.place(policy, good.replace('"classes"', '"clases"'))
        line = controller.said("spec_rejected", mark, file=str(policy))
        assert "clases" in line["message"]
        fleet.up("under-rule")
        assert fleet.container("under-rule")["HostConfig"]["Memory"] == 64 * 2**20
        mark = controller.mark()
        policy.unlink()
        assert "gone" in controller.said("spec_rejected", mark, file=str(policy))["message"]
        controller.runs("ruled")
        assert instance(fleet.container("ruled")) == before
    finally:
        fleet.site.place(policy, good)


def test_files_that_are_no_specs_are_ignored_aloud(fleet: Fleet) -> None:
    before = instance(fleet.up("plain"))
    name = os.fsencode(fleet.site.specs) + b"/caf\xe9.yaml"
    with open(name, "wb") as file:  # noqa: PTH123 - a name that is no text
        file.write(GOOD.replace("NAME", "not-text").encode())
    (fleet.site.specs / "a-link.yaml").symlink_to(fleet.site.specs / "plain.yaml")
    controller = fleet.controller
    try:
        controller.until(
            lambda: (controller.metric("spec_files", kind="Workspace", state="ignored") or 0) >= 2,
            "two ignored files are counted",
        )
        assert "metadata" not in controller.workspace("not-text")
        controller.runs("plain")
        assert instance(fleet.container("plain")) == before
        said = [line for line in controller.lines() if "a-link.yaml" in json.dumps(line)]
        assert said, "the ignored file is in the log"
    finally:
        os.unlink(name)  # noqa: PTH108 - the same
        (fleet.site.specs / "a-link.yaml").unlink()


def test_a_renamed_file_is_the_same_workspace(fleet: Fleet) -> None:
    before = instance(fleet.up("moved"))
    uid = fleet.controller.workspace("moved")["metadata"]["uid"]
    (fleet.site.specs / "moved.yaml").rename(fleet.site.specs / "elsewhere.yaml")
    fleet.controller.until(
        lambda: fleet.controller.status("moved").get("file") == "elsewhere.yaml", "the new file is known"
    )
    assert instance(fleet.container("moved")) == before
    assert fleet.controller.workspace("moved")["metadata"]["uid"] == uid


def test_a_spec_directory_that_vanishes_and_comes_back_stops_nothing(fleet: Fleet) -> None:
    names = ("dir-one", "dir-two", "dir-three")
    before = {name: instance(fleet.up(name)) for name in names}
    controller, specs = fleet.controller, fleet.site.specs
    aside = specs.with_name("aside")
    specs.rename(aside)
    try:
        controller.until(lambda: controller.get("/readyz")[0] == 503, "it is not ready")
        assert "SpecsUnreadable" in controller.get("/readyz")[1]
        specs.mkdir()
        mark = controller.mark()
        fleet.site.spec("dir-four")
        controller.runs("dir-four")
        controller.decided("dir-one", "RemovalsHeld")
        controller.said("decision", mark, workspace="dir-two", reason="RemovalsHeld")
        assert {name: instance(fleet.container(name)) for name in names} == before
    finally:
        for file in aside.iterdir():
            shutil.copy(file, specs / file.name)
        shutil.rmtree(aside)
    for name in names:
        controller.runs(name)
    assert {name: instance(fleet.container(name)) for name in names} == before
    controller.ready()
