"""How the controller asks an Engine for GPUs, reads back what it got, and understands why it got none."""

import pytest

from controller.api.conditions import Reason
from controller.engine import observer
from controller.model import observed, outcomes
from controller.model.gpus import VISIBLE_DEVICES, Attached, Attachment, Bystander, Driver
from tests.contract.backends import Backend, row
from tests.contract.gpu_backends import GpuBackend
from tests.support import engine_actions as act
from tests.support import gpus

VOID = ((VISIBLE_DEVICES, "void"),)
UNKNOWN = "GPU-0a11e7e5-0000-4000-8000-00000000000f"


def attachment(*uuids: str, cdi: bool) -> Attachment:
    if cdi:
        return Attachment(Driver.CDI, uuids, tuple(f"{gpus.KIND}={uuid}" for uuid in uuids))
    return Attachment(Driver.NVIDIA, uuids, uuids)


def make(backend: Backend, wanted: Attachment | None) -> observed.Container:
    """The one container of ours that there is, made by the executor and not started."""
    done = backend.executor.execute(act.create(env=VOID, gpus=wanted))
    assert isinstance(done, outcomes.Succeeded), done
    return only(backend)


def view(backend: Backend) -> observed.EngineView:
    looking = observer.Observer(
        backend.client,
        observer.FRESH,
        observer.FRESH,
        backend.world.read_limits,
        backend.world.listening,
        gpus=lambda: True,
    )
    seen = looking.observe(frozenset(), backend.world.now())
    assert isinstance(seen, observed.Seen), seen
    return seen.value


def only(backend: Backend) -> observed.Container:
    (container,) = view(backend).containers.values()
    return container


@row("GPU-given")
def test_what_a_template_says_of_devices_is_what_is_seen_and_opened(by_any: GpuBackend) -> None:
    first, _, divided = by_any.gpus
    wanted = attachment(first.uuid, divided.instances[0], cdi=by_any.cdi)
    container = make(by_any, wanted)
    made = container.configuration
    assert made.gpus == Attached(wanted.names, visible=wanted.visible)
    assert made.other == ()
    done = by_any.executor.execute(act.start(container))
    assert isinstance(done, outcomes.Succeeded), done
    assert by_any.opened(container.id) == [first.index, divided.index]
    assert (view(by_any).cdi is not None) == by_any.cdi


@row("GPU-given")
def test_a_container_of_somebody_else_is_seen_with_its_devices(by_any: GpuBackend) -> None:
    first, *_ = by_any.gpus
    made = attachment(first.uuid, cdi=by_any.cdi)
    by_any.run("nobody")
    box = by_any.run_with(by_any.request(first.uuid))
    assert view(by_any).bystanders == {box: Bystander(box, "box", True, Attached(made.names))}
    by_any.client.stop(box, observer.FRESH * 0)
    assert view(by_any).bystanders == {box: Bystander(box, "box", False, Attached(made.names))}


@row("GPU-refused")
def test_a_device_that_cannot_be_given_is_no_fault_of_the_program(by_any: GpuBackend) -> None:
    container = make(by_any, attachment(UNKNOWN, cdi=by_any.cdi))
    failed = by_any.executor.execute(act.start(container))
    assert isinstance(failed, outcomes.Failed), failed
    assert (failed.reason, failed.retryable, failed.unknown) == (Reason.GPU_NOT_ATTACHED, True, False)
    assert UNKNOWN in failed.message


@row("GPU-refused")
@pytest.mark.parametrize("backend", ["sim", "dockerd"], indirect=True)
@pytest.mark.parametrize("cdi", [False, True], ids=["nvidia", "cdi"])
def test_an_engine_that_cannot_give_any_is_told_from_one_that_has_not_this_one(
    backend: Backend, cdi: bool
) -> None:
    container = make(backend, attachment(UNKNOWN, cdi=cdi))
    assert view(backend).cdi is None
    failed = backend.executor.execute(act.start(container))
    assert isinstance(failed, outcomes.Failed), failed
    assert failed.reason is Reason.GPU_NOT_ATTACHED
    assert "could not select device driver" in failed.message
