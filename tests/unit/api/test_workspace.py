"""What a workspace may say: the published example, and a row for each rule with the message it gives."""

import datetime as dt

import pydantic
import pytest

from controller.api import meta, workspace
from tests.support import documents


def load(path: str = "", value: object = None) -> workspace.Workspace:
    document = documents.changed(documents.WORKSPACE, path, value) if path else documents.WORKSPACE
    return workspace.Workspace.model_validate(document)


def refused(path: str, value: object) -> tuple[str, str]:
    """The place and the message of the only error."""
    with pytest.raises(pydantic.ValidationError) as caught:
        load(path, value)
    (error,) = caught.value.errors()
    return ".".join(map(str, error["loc"])), error["msg"]


def test_the_published_example_says_what_it_shows() -> None:
    spec = load().spec
    assert spec.class_name == "vm"
    assert spec.desired_state is workspace.DesiredState.RUNNING
    assert spec.image is not None
    assert spec.image.alias == "gpu-jupyter"
    assert spec.command == ("sleep", "infinity")
    assert spec.env == {"TZ": "Europe/Berlin"}
    assert spec.resources is not None
    assert spec.resources.cpus == 8_000_000_000
    assert spec.resources.memory == 100 * 2**30
    assert spec.gpu is not None
    assert spec.gpu.uuids == ()
    assert spec.mounts is not None
    assert spec.mounts[0].mode is workspace.MountMode.READ_WRITE
    assert spec.services is not None
    assert [service.port for service in spec.services] == [22, 8888, 8080]
    assert spec.lifecycle is not None
    assert spec.lifecycle.idle_timeout == dt.timedelta(hours=48)


def test_what_was_read_is_written_as_the_same_document() -> None:
    written = load().model_dump(mode="json", exclude_unset=True)
    assert workspace.Workspace.model_validate(written) == load()
    assert written["spec"]["resources"] == documents.WORKSPACE["spec"]["resources"]  # type: ignore[index]
    assert written["spec"]["image"] == {"alias": "gpu-jupyter"}


def test_null_is_not_absent() -> None:
    lifecycle = load("spec.lifecycle", {"maxRuntime": None}).spec.lifecycle
    assert lifecycle is not None
    assert lifecycle.model_fields_set == {"max_runtime"}
    assert lifecycle.model_dump(mode="json", exclude_unset=True) == {"maxRuntime": None}


def test_a_name_and_a_class_are_enough() -> None:
    smallest = load("spec", {"class": "vm"})
    assert smallest.spec.model_fields_set == {"class_name"}


@pytest.mark.parametrize("text", ["gpu-jupyter", "python:3.11-slim", "registry.example:5000/team/image:tag"])
def test_an_image_in_plain_text_stays_for_the_catalog_to_decide(text: str) -> None:
    image = load("spec.image", text).spec.image
    assert image is not None
    assert (image.name, image.alias, image.reference) == (text, None, None)
    assert load("spec.image", text).model_dump(mode="json", exclude_unset=True)["spec"]["image"] == text


def test_nothing_can_be_changed_after_reading() -> None:
    spec = load().spec
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        spec.owner = "bob"
    with pytest.raises(TypeError, match="does not support item assignment"):
        spec.env["A"] = "b"  # type: ignore[index]
    with pytest.raises(TypeError, match="does not support item assignment"):
        load().metadata.labels["a"] = "b"  # type: ignore[index]


LONG = "a" * 41

RULES = [
    ("metadata.name", "Alice", "metadata.name", "lower-case letters"),
    ("metadata.name", "-a", "metadata.name", "lower-case letters"),
    ("metadata.name", "", "metadata.name", "lower-case letters"),
    ("metadata.name", LONG, "metadata.name", "at most 40"),
    ("metadata.name", 7, "metadata.name", 'write "7"'),
    ("metadata.labels", {"a b": "c"}, "metadata.labels.a b.[key]", "label key"),
    ("metadata.labels", {"a": 1}, "metadata.labels.a", 'write "1"'),
    ("kind", "Pod", "kind", "'Workspace'"),
    ("apiVersion", "v2", "apiVersion", "wharfinger.dev/v1"),
    ("extra", 1, "extra", "not permitted"),
    ("spec.desired_state", "Running", "spec.desired_state", "not permitted"),
    ("spec.owner", 1000, "spec.owner", 'write "1000" (with the quotes)'),
    ("spec.owner", "../x", "spec.owner", "login name"),
    ("spec.owner", "a/b", "spec.owner", "login name"),
    ("spec.class", "Big Class", "spec.class", "lower-case letters"),
    ("spec.desiredState", "running", "spec.desiredState", "'Running' or 'Stopped'"),
    ("spec.init", None, "spec.init", "leave the key out"),
    ("spec.image", None, "spec.image", "leave the key out"),
    ("spec.image", {}, "spec.image", "exactly one of alias and reference"),
    ("spec.image", {"alias": "a", "reference": "b"}, "spec.image", "exactly one of alias and reference"),
    ("spec.image", {"name": "a"}, "spec.image", "plain string"),
    ("spec.image", "Upper Case", "spec.image.name", "image reference"),
    ("spec.image", {"reference": "a@sha256:12"}, "spec.image.reference", "image reference"),
    ("spec.image", "team/{owner}", "spec.image", "replaced in classes"),
    ("spec.command", [], "spec.command", "leave the key out"),
    ("spec.command", "sleep 1", "spec.command", "tuple"),
    ("spec.command", ["sleep", 1], "spec.command.1", 'write "1"'),
    ("spec.command", ["a\0b"], "spec.command.0", "NUL"),
    ("spec.env", {"A": 1}, "spec.env.A", 'write "1" (with the quotes)'),
    ("spec.env", {"A": True}, "spec.env.A", 'write "true"'),
    ("spec.env", {"A": 1.5}, "spec.env.A", 'write "1.5"'),
    ("spec.env", {"A": None}, "spec.env.A", 'write ""'),
    ("spec.env", {"A-B": "x"}, "spec.env.A-B.[key]", "letters, digits and _"),
    ("spec.env", {"A=B": "x"}, "spec.env.A=B.[key]", "letters, digits and _"),
    ("spec.env", {"NVIDIA_VISIBLE_DEVICES": "all"}, "spec.env.NVIDIA_VISIBLE_DEVICES.[key]", "under gpu"),
    ("spec.env", {"WHARF_UID": "0"}, "spec.env.WHARF_UID.[key]", "set by the controller"),
    ("spec.secrets.0.file", "/etc/shadow", "spec.secrets.0.file", "relative path"),
    ("spec.secrets.0.file", "a/../b", "spec.secrets.0.file", "relative path"),
    ("spec.secrets.0.name", "a/b", "spec.secrets.0.name", "file name"),
    ("spec.secrets.0.name", "..", "spec.secrets.0.name", "file name"),
    (
        "spec.secrets",
        [{"name": "a", "file": "x"}, {"name": "a", "file": "y"}],
        "spec.secrets",
        '"a" is used twice',
    ),
    ("spec.resources.cpus", 8, "spec.resources.cpus", 'write "8"'),
    ("spec.resources.cpus", "eight", "spec.resources.cpus", '"0.5"'),
    ("spec.resources.cpuset", "7-0", "spec.resources.cpuset", "smaller number first"),
    ("spec.resources.memory", 64, "spec.resources.memory", 'write "64g"'),
    ("spec.resources.memory", "64", "spec.resources.memory", 'write "64g"'),
    ("spec.resources.memory", True, "spec.resources.memory", "found true"),
    ("spec.resources.memory", "1m", "spec.resources.memory", '"6m"'),
    (
        "spec.resources.memoryReservation",
        "101g",
        "spec.resources",
        "memoryReservation (101g) must be at most memory (100g)",
    ),
    ("spec.resources.shm", "0b", "spec.resources.shm", "more than"),
    ("spec.resources.shm", None, "spec.resources.shm", "leave the key out"),
    ("spec.resources.pids", 0, "spec.resources.pids", "greater than or equal to 1"),
    ("spec.resources.pids", True, "spec.resources.pids", "valid integer"),
    ("spec.resources.pids", "64", "spec.resources.pids", "valid integer"),
    ("spec.gpu.count", 0, "spec.gpu.count", "greater than or equal to 1"),
    ("spec.gpu.mode", None, "spec.gpu.mode", "leave the key out"),
    ("spec.gpu.migProfile", "big", "spec.gpu.migProfile", "1g.10gb"),
    ("spec.gpu.uuids", ["0"], "spec.gpu.uuids.0", "no index"),
    ("spec.gpu.uuids", ["GPU-1", "GPU-1"], "spec.gpu.uuids", "named twice"),
    ("spec.mounts.0.source", "home", "spec.mounts.0.source", "absolute"),
    ("spec.mounts.0.source", "/a/../b", "spec.mounts.0.source", "written in full"),
    ("spec.mounts.0.source", "/a//b", "spec.mounts.0.source", "written in full"),
    ("spec.mounts.0.source", "/a/", "spec.mounts.0.source", "written in full"),
    ("spec.mounts.0.source", "/homes/{owner}", "spec.mounts", "replaced in classes"),
    ("spec.mounts.0.target", "/", "spec.mounts.0.target", "below it"),
    ("spec.mounts.0.target", "/run", "spec.mounts.0.target", "below it"),
    ("spec.mounts.0.target", "/run/secrets", "spec.mounts.0.target", "belongs to the controller"),
    ("spec.mounts.0.target", "/run/secrets/x", "spec.mounts.0.target", "belongs to the controller"),
    ("spec.mounts.0.target", "/proc/x", "spec.mounts.0.target", "belongs to the controller"),
    ("spec.mounts.0.target", "/sys", "spec.mounts.0.target", "belongs to the controller"),
    ("spec.mounts.0.target", "/dev/shm", "spec.mounts.0.target", "belongs to the controller"),
    ("spec.mounts.0.mode", "rw", "spec.mounts.0.mode", "'ReadWrite' or 'ReadOnly'"),
    ("spec.mounts.0.create", "yes", "spec.mounts.0.create", "valid boolean"),
    (
        "spec.mounts",
        [{"name": "a", "source": "/x", "target": "/t"}, {"name": "a", "source": "/y", "target": "/u"}],
        "spec.mounts",
        'mount name "a" is used twice',
    ),
    (
        "spec.mounts",
        [{"name": "a", "source": "/x", "target": "/t"}, {"name": "b", "source": "/y", "target": "/t"}],
        "spec.mounts",
        'mount target "/t" is used twice',
    ),
    ("spec.services.0.port", 0, "spec.services.0.port", "greater than or equal to 1"),
    ("spec.services.0.port", 65536, "spec.services.0.port", "less than or equal to 65535"),
    ("spec.services.0.port", "22", "spec.services.0.port", "valid integer"),
    ("spec.services.1.name", "ssh", "spec.services", 'service name "ssh" is used twice'),
    ("spec.services.2.hostPort", 10022, "spec.services.2", "expose: Port"),
    ("spec.lifecycle.idleTimeout", 48, "spec.lifecycle.idleTimeout", 'write "48s"'),
    ("spec.lifecycle.idleTimeout", "0s", "spec.lifecycle.idleTimeout", "write null for never"),
    ("spec.lifecycle.maxRuntime", "1y", "spec.lifecycle.maxRuntime", '"7d"'),
    ("spec.lifecycle.stopGrace", "2h", "spec.lifecycle.stopGrace", 'at most "1h"'),
    ("spec.lifecycle.stopGrace", None, "spec.lifecycle.stopGrace", "leave the key out"),
]


@pytest.mark.parametrize(("path", "value", "place", "needed"), RULES, ids=lambda value: str(value)[:40])
def test_a_broken_rule_is_named_at_its_place(path: str, value: object, place: str, needed: str) -> None:
    where, message = refused(path, value)
    assert where == place
    assert needed in message


def test_two_services_cannot_have_one_host_port() -> None:
    services = [{"name": name, "port": 80, "hostPort": 10001} for name in ("a", "b")]
    assert refused("spec.services", services) == ("spec.services", 'the hostPort "10001" is used twice')


@pytest.mark.parametrize("missing", ["metadata", "spec", "kind", "apiVersion"])
def test_the_frame_of_a_document_is_required(missing: str) -> None:
    document = {key: value for key, value in documents.WORKSPACE.items() if key != missing}
    with pytest.raises(pydantic.ValidationError, match="Field required"):
        workspace.Workspace.model_validate(document)


def test_every_default_is_that_of_a_field() -> None:
    spec = workspace.WorkspaceSpec.model_json_schema()
    parts: dict[str, type[meta.ApiModel]] = {
        "resources": workspace.Resources,
        "gpu": workspace.Gpu,
        "mounts": workspace.Mount,
        "services": workspace.Service,
        "security": workspace.Security,
        "network": workspace.Network,
        "lifecycle": workspace.Lifecycle,
    }
    for path in workspace.CONTRACT_DEFAULTS:
        head, _, rest = path.partition(".")
        assert head in spec["properties"]
        if rest:
            assert rest in parts[head].model_json_schema()["properties"]
