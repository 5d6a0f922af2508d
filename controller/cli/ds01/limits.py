"""What the limits of one person or group are in the policy's terms, and from which values of the file.

It knows every limit that is carried over, and refuses to know who has it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from controller.api import quantities, rules
from controller.cli.ds01 import keys, values
from controller.cli.ds01.keys import Generation
from controller.cli.ds01.notes import Kind, Report
from controller.cli.ds01.sheet import Entries
from controller.sources.foreign import Node

T = TypeVar("T")

Path = tuple[str, ...]
Value = str | int | None

FALLBACK: Final[Mapping[Path, Value]] = {
    ("resources", "cpus"): None,
    ("resources", "memory"): None,
    ("resources", "swap"): "0b",
    ("resources", "shm"): "64m",
    ("resources", "pids"): None,
    ("lifecycle", "idleTimeout"): None,
    ("lifecycle", "maxRuntime"): None,
    ("lifecycle", "stopGrace"): "60s",
    ("lifecycle", "gpuHold"): "15m",
    ("priority",): 1,
    ("quotas", "workspaces"): None,
    ("quotas", "gpuEquivalents"): None,
    ("aggregate", "cpus"): None,
    ("aggregate", "memory"): None,
    ("aggregate", "memoryHigh"): None,
    ("aggregate", "pids"): None,
}
"""Every path that can be carried over, and what its absence means."""

_FORMER_CPUS: Final = "16"
_MIG_COUNT: Final = (
    "it counted devices, whole GPUs or slices alike; carried over as whole GPUs, as later versions of DS01 "
    "read it: where they were slices, write their share, such as 0.286 for two of 1g"
)
_GROUP_TASKS: Final = (
    "in this format it limited all members of a group together; carried over for each owner by itself"
)
_IDLE: Final = "there only containers with a GPU could be idle; here every workspace"
_CONTAINERS: Final = (
    "quotas.workspaces, which counts what exists, stopped ones too: DS01 looked when a container was made, "
    "never when one was started"
)
_NO_HOLD: Final = "nobody keeps a GPU for ever after a stop: lifecycle.gpuHold is a time, and 15m holds"
_SWAP: Final = "there it was memory plus swap; resources.swap is swap alone"
_NO_SWAP: Final = "without memory_swap Docker gives as much swap as memory; here there is none"


@dataclass(frozen=True, slots=True)
class Line:
    """One value of the policy as it is written there, and the values of the file that it comes from."""

    value: Value
    nodes: tuple[Node, ...]


Lines = Mapping[Path, Line]


@dataclass(frozen=True, slots=True)
class _Layers:
    """What holds for somebody, all layers laid over each other; `own` is the strongest of them alone."""

    entries: Entries
    own: Entries
    report: Report
    generation: Generation

    def pick(self, names: tuple[str, ...]) -> Node | None:
        """The first of several names of one limit; where the own value loses by that, it is said."""
        present = [self.entries[name] for name in names if name in self.entries]
        for name in names:
            node = self.entries.get(name)
            if node is not None and node is not present[0] and self.own.get(name) is node:
                message = (
                    f"{present[0].key} (line {present[0].place.line}) came first there, so it had no effect"
                )
                self.report.say(Kind.AMBIGUOUS, node, message)
        return present[0] if present else None

    def read(self, node: Node, meaning: Callable[[Node], T]) -> T | None:
        """A value's meaning; one that has none is refused."""
        try:
            return meaning(node)
        except ValueError as error:
            self.report.refuse(node, str(error))
            return None


def lines(entries: Entries, own: Entries, report: Report, generation: Generation) -> Lines:
    """The policy's values for somebody for whom `entries` hold, of which `own` is the strongest layer."""
    layers = _Layers(entries, own, report, generation)
    found: dict[Path, Line] = {}
    for rule in (_resources, _memory, _lifecycle, _gpu_hold, _priority, _quotas, _aggregate):
        found |= dict(rule(layers))
    return found


def _resources(layers: _Layers) -> Iterator[tuple[Path, Line]]:
    node = layers.pick(keys.CPUS)
    if node is not None:
        found = layers.read(node, values.processors)
        yield ("resources", "cpus"), Line(None if found is None else quantities.format_cpus(found), (node,))
    elif layers.generation is Generation.CURRENT:
        yield ("resources", "cpus"), Line(_FORMER_CPUS, ())
    node = layers.entries.get("shm_size")
    if node is not None:
        found = layers.read(node, values.number_of_bytes)
        if found:
            yield ("resources", "shm"), Line(quantities.format_bytes(found), (node,))
        else:
            layers.report.say(
                Kind.DROPPED, node, "it is no size, and /dev/shm always has one; Docker's is 64m"
            )
    node = layers.entries.get("pids_limit")
    if node is not None:
        yield ("resources", "pids"), Line(layers.read(node, values.tasks), (node,))


def _memory(layers: _Layers) -> Iterator[tuple[Path, Line]]:
    node, both = layers.entries.get("memory"), layers.entries.get("memory_swap")
    if node is None:
        if both is not None:
            layers.report.say(Kind.DROPPED, both, "without memory it has no effect")
        return
    memory = layers.read(node, values.number_of_bytes)
    yield ("resources", "memory"), Line(_size(memory), (node,))
    if both is None:
        if memory is not None:
            layers.report.say(Kind.CHANGED, node, _NO_SWAP)
        return
    total = layers.read(both, values.number_of_bytes)
    if total is not None and memory is not None and total < memory:
        message = f"memory_swap (line {both.place.line}) is less, which Docker refuses; taken for no swap"
        layers.report.remark(Kind.AMBIGUOUS, node, message)
        total = memory
    layers.report.say(Kind.CHANGED, both, _SWAP)
    unlimited = total is None or memory is None
    yield ("resources", "swap"), Line(None if unlimited else _size((total or 0) - (memory or 0)), (both,))


def _lifecycle(layers: _Layers) -> Iterator[tuple[Path, Line]]:
    for field, names in (("idleTimeout", keys.IDLE_TIMEOUT), ("maxRuntime", keys.MAX_RUNTIME)):
        node = layers.pick(names)
        if node is not None:
            meaning = values.hours if node.key.endswith("_h") else values.length
            yield ("lifecycle", field), Line(_duration(layers.read(node, meaning)), (node,))
            if field == "idleTimeout":
                layers.report.say(Kind.CHANGED, node, _IDLE)
    node = layers.entries.get(keys.STOP_GRACE)
    if node is not None:
        grace = layers.read(node, values.seconds)
        if grace is None or not timedelta() <= grace <= rules.MAX_STOP_GRACE:
            layers.report.say(Kind.DROPPED, node, "lifecycle.stopGrace is a time of at most 1h; 60s holds")
            return
        layers.report.say(Kind.CHANGED, node, "lifecycle.stopGrace, which holds for every stop")
        yield ("lifecycle", "stopGrace"), Line(_duration(grace), (node,))


def _gpu_hold(layers: _Layers) -> Iterator[tuple[Path, Line]]:
    node = layers.pick(keys.GPU_HOLD)
    if node is None:
        return
    found = layers.read(node, values.hold)
    if found is None:
        layers.report.say(Kind.DROPPED, node, _NO_HOLD)
    else:
        yield ("lifecycle", "gpuHold"), Line(_duration(found), (node,))


def _priority(layers: _Layers) -> Iterator[tuple[Path, Line]]:
    node = layers.entries.get("priority")
    if node is None:
        return
    if layers.generation is Generation.CURRENT:
        message = "it was shown and not used; carried over as the place in queues"
        layers.report.say(Kind.MEANINGLESS, node, message)
    yield ("priority",), Line(layers.read(node, values.priority), (node,))


def _quotas(layers: _Layers) -> Iterator[tuple[Path, Line]]:
    node = layers.pick(keys.CONTAINERS)
    if node is not None:
        layers.report.say(Kind.CHANGED, node, _CONTAINERS)
        yield ("quotas", "workspaces"), Line(layers.read(node, values.count), (node,))
    node, twin = layers.pick(keys.GPU_QUOTA), layers.entries.get("aggregate.gpu_limit")
    chosen = _smaller(layers, node, twin) if node is not None and twin is not None else node or twin
    if chosen is None:
        return
    if chosen.key in {"max_mig_instances", "gpus"} and chosen.value is not None and chosen.text != "all":
        layers.report.say(Kind.AMBIGUOUS, chosen, _MIG_COUNT)
    yield ("quotas", "gpuEquivalents"), Line(layers.read(chosen, values.gpu_equivalents), (chosen,))


def _smaller(layers: _Layers, node: Node, twin: Node) -> Node:
    """Which of two limits on the same thing counted: both were looked at."""
    first, second = (layers.read(one, values.gpu_equivalents) for one in (node, twin))
    if first == second:
        layers.report.say(
            Kind.CHANGED, twin, f"it says the same as {node.key}; quotas.gpuEquivalents says it once"
        )
        return node
    less, more = (
        (node, twin)
        if second is None or (first is not None and float(first) < float(second))
        else (twin, node)
    )
    message = (
        f"{less.key} (line {less.place.line}) says {less.text}; both were looked at, so the smaller is taken"
    )
    layers.report.say(Kind.AMBIGUOUS, more, message)
    return less


def _aggregate(layers: _Layers) -> Iterator[tuple[Path, Line]]:
    entries = layers.entries
    if (node := entries.get("aggregate.cpu_quota")) is not None:
        found = layers.read(node, values.processors_of_percent)
        yield ("aggregate", "cpus"), Line(None if found is None else quantities.format_cpus(found), (node,))
    limit, high = (
        None
        if (node := entries.get(f"aggregate.{key}")) is None
        else (node, layers.read(node, values.number_of_bytes))
        for key in ("memory_max", "memory_high")
    )
    if limit is not None:
        yield ("aggregate", "memory"), Line(_size(limit[1]), (limit[0],))
    if high is not None and limit is not None and (high[1] or 0) > (limit[1] or high[1] or 0):
        layers.report.say(Kind.AMBIGUOUS, high[0], "it is more than memory_max, so it had no effect")
    elif high is not None:
        yield ("aggregate", "memoryHigh"), Line(_size(high[1]), (high[0],))
    yield from _tasks(layers)


def _tasks(layers: _Layers) -> Iterator[tuple[Path, Line]]:
    node, twin = layers.entries.get("aggregate.tasks_max"), layers.entries.get("max_tasks")
    if node is not None and twin is not None and layers.own.get("max_tasks") is twin:
        message = f"tasks_max of the aggregate (line {node.place.line}) limits the same slice, and is taken"
        layers.report.say(Kind.AMBIGUOUS, twin, message)
    chosen = node or twin
    if chosen is twin and chosen is not None and layers.generation is not Generation.CURRENT:
        layers.report.say(Kind.AMBIGUOUS, chosen, _GROUP_TASKS)
    if chosen is not None:
        yield ("aggregate", "pids"), Line(layers.read(chosen, values.tasks), (chosen,))


def _size(value: int | None) -> str | None:
    return None if value is None else quantities.format_bytes(value)


def _duration(value: timedelta | None) -> str | None:
    return None if value is None else quantities.format_duration(value)
