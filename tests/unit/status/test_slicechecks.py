"""Whether a host can hold owners to limits: each fact's level, and a remedy for whatever is not ok."""

from dataclasses import replace

import pytest

from controller.api.conditions import Reason
from controller.api.config import SliceDriver
from controller.model.observed import Unseen
from controller.model.preflight import EngineFacts, SliceFacts
from controller.model.slices import SliceLimit, SliceView
from controller.status import slicechecks
from controller.status.checks import Level
from tests.support import reports

ENGINE = EngineFacts("E", "26.1.5", (1, 45), True, "overlay2", "cgroupfs", "1", "/var/lib/docker")  # noqa: FBT003
CANNOT = {SliceLimit.MEMORY_HIGH: "version 1 has no memory.high", SliceLimit.CPUSET: "no controller cpuset"}
VIEW = SliceView(SliceDriver.CGROUPFS, 1, cannot=CANNOT)
GOOD = SliceFacts(SliceDriver.AUTO, VIEW, frozenset({SliceLimit.CPUS, SliceLimit.MEMORY}))


def told(facts: SliceFacts, engine: EngineFacts = ENGINE) -> list[tuple[Level, str]]:
    return [(check.level, str(check)) for check in slicechecks.judge(facts, engine)]


def test_on_a_good_host_it_is_said_what_the_kernel_lacks_that_nobody_asks_for() -> None:
    ((level, text),) = told(GOOD)
    assert level is Level.OK
    assert "made by cgroupfs, version 1; this kernel cannot cpuset, memoryHigh, which nobody asks for" in text
    everything = replace(GOOD, view=replace(VIEW, cannot={}))
    assert told(everything)[0][1].endswith("made by cgroupfs, version 1")


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (replace(GOOD, refused="read-only; ProtectControlGroups"), Level.FAIL, "ProtectControlGroups"),
        (replace(GOOD, view=replace(VIEW, driver=SliceDriver.SYSTEMD)), Level.FAIL, "slices.driver: Auto"),
        (replace(GOOD, view=Unseen(Reason.NOT_SEEN, "no cgroups", reports.NOW)), Level.FAIL, "no cgroups"),
        (replace(GOOD, asked=frozenset({SliceLimit.MEMORY_HIGH})), Level.WARN, "no memory.high"),
        (replace(GOOD, asked=frozenset({SliceLimit.CPUSET})), Level.FAIL, "no controller cpuset"),
        (replace(GOOD, view=replace(VIEW, no_device={"/net": "on nfs"})), Level.WARN, "io of /net: on nfs"),
        (
            replace(GOOD, configured=SliceDriver.NONE, view=SliceView()),
            Level.WARN,
            "slices.driver is None, so the policy's aggregate (cpus, memory) has no effect",
        ),
        (replace(GOOD, view=SliceView()), Level.FAIL, "nobody with a hard limit in it is started"),
        (
            replace(GOOD, view=SliceView(), asked=frozenset({SliceLimit.CPU_WEIGHT})),
            Level.WARN,
            "the Engine names no driver",
        ),
        (replace(GOOD, asked=frozenset(), view=SliceView()), Level.OK, "owners are not limited together"),
    ],
)
def test_what_is_not_as_it_should_be_comes_with_a_remedy(facts: SliceFacts, level: Level, words: str) -> None:
    found = told(facts)
    assert (level, words) in [(of, words) for of, text in found if words in text], found
    assert all("; " in text for of, text in found if of is not Level.OK)
