"""The sample policy of a laboratory: valid without a remark; its classes are what they stand for."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from controller.api.images import ImageCatalog
from controller.api.policy import ResourcePolicy
from controller.api.workspace import Expose, GpuMode, Workspace
from controller.cli import main
from controller.model.desired import AcceptedPolicy
from controller.model.effective import Effective
from controller.planning import resolve
from controller.planning.standing import Standing
from controller.sources import loader
from tests.support import builders

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "config" / "examples"
FILES = ("lab-policy.yaml", "lab-images.yaml")
GIB = 2**30


def policy() -> ResourcePolicy:
    result = loader.parse_document((EXAMPLES / FILES[0]).read_bytes(), FILES[0], ResourcePolicy)
    assert isinstance(result, loader.Parsed), result
    return result.value


def standing() -> Standing:
    result = loader.parse_document((EXAMPLES / FILES[1]).read_bytes(), FILES[1], ImageCatalog)
    assert isinstance(result, loader.Parsed), result
    return Standing(AcceptedPolicy(policy(), result.value, "digest"), builders.NOW)


def effective(class_name: str, owner: str) -> Effective:
    """The smallest workspace of a class, but for GPUs, of which the planner is asked elsewhere."""
    head = {"apiVersion": "wharfinger.dev/v1", "kind": "Workspace", "metadata": {"name": "w"}}
    spec = {"owner": owner, "class": class_name, "gpu": {"mode": "None"}}
    asked = builders.in_force(Workspace.model_validate({**head, "spec": spec}))
    found = resolve.resolve(asked, standing(), builders.account(owner))
    assert isinstance(found, Effective), found
    return found


def test_the_samples_are_all_there_and_valid_without_a_remark(capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(file.name for file in EXAMPLES.iterdir()) == sorted(FILES)
    config = ROOT / "config" / "controller.yaml"
    code = main.invoke(["--config", str(config), "validate", *(str(EXAMPLES / name) for name in FILES)])
    said = capsys.readouterr()
    assert (int(code), said.out, said.err) == (0, "", "wharf: 2 valid files\n")


@pytest.mark.parametrize(
    ("name", "mode", "image"),
    [
        ("vm", GpuMode.SHARED, "registry.example.org/lab/workspace:2026.1"),
        ("project", GpuMode.EXCLUSIVE, "registry.example.org/lab/ml-gpu:2026.1"),
        ("lab", GpuMode.EXCLUSIVE, "registry.example.org/lab/ml-gpu:2026.1"),
        ("portal", None, "registry.example.org/lab/ml-cpu:2026.1"),
    ],
)
def test_a_class_says_how_gpus_are_given_and_which_image_is_used(
    name: str, mode: GpuMode | None, image: str
) -> None:
    gpu = policy().spec.classes[name].gpu
    assert (gpu.mode if gpu else None) is mode
    assert effective(name, "dana").image == image


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vm", {"memory": "100g", "memoryReservation": "32g", "swap": "50g"}),
        ("project", {"cpus": "8", "memory": "32g", "shm": "8g"}),
        ("lab", {"cpus": "8", "memory": "32g"}),
        ("portal", {"cpus": "8", "memory": "16g"}),
    ],
)
def test_a_class_has_the_sizes_of_what_it_stands_for(name: str, expected: Mapping[str, str]) -> None:
    words = {value.path: value.value for value in effective(name, "dana").values}
    assert {key: words[f"resources.{key}"] for key in expected} == expected


@pytest.mark.parametrize(("name", "idle"), [("vm", "null"), ("project", "48h"), ("lab", "48h")])
def test_a_class_says_how_long_one_may_be_idle(name: str, idle: str) -> None:
    words = {value.path: value.value for value in effective(name, "dana").values}
    assert words["lifecycle.idleTimeout"] == idle


def test_the_vm_has_its_five_mounts_and_its_services() -> None:
    found = effective("vm", "alice")
    assert {mount.target: mount.read_only for mount in found.mounts} == {
        "/home/alice": False,
        "/workspace": False,
        "/shared": True,
        "/shared/tensorboard/alice": False,
        "/var/lib/state": False,
    }
    assert {"ssh": 22, "jupyter": 8888, "code": 8080, "tensorboard": 6006}.items() <= {
        service.name: service.port for service in found.services
    }.items()
    assert found.runtime == "sysbox-runc"


def test_the_portal_has_the_ports_of_its_profile() -> None:
    services = policy().spec.classes["portal"].services or ()
    assert {one.name: (one.port, one.expose) for one in services} == {
        "jupyter": (8888, Expose.PORT),
        "tensorboard": (6006, Expose.PORT),
        "ssh": (22, Expose.PORT),
    }


@pytest.mark.parametrize(
    ("owner", "workspaces", "gpus", "memory"),
    [
        ("alice", 1, 1, 64 * GIB),
        ("bob", 2, 1, 64 * GIB),
        ("carol", 3, 2, 128 * GIB),
        ("dana", 5, 2, 256 * GIB),
        ("erin", None, None, None),
        ("whoever", 3, 1, 128 * GIB),
    ],
)
def test_groups_exceptions_and_grants_cap(
    owner: str, workspaces: int | None, gpus: int | None, memory: int | None
) -> None:
    quotas = standing().quotas(owner)
    assert (quotas.workspaces, quotas.gpu_equivalents, quotas.memory) == (workspaces, gpus, memory)


def test_a_quota_caps_what_a_class_gives() -> None:
    assert effective("vm", "alice").limits.memory == 64 * GIB
    assert effective("vm", "dana").limits.memory == 100 * GIB
