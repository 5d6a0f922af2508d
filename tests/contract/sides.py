"""Knows how to do the same to two Engines, and where they may differ: in ids, times, and races of events.

It refuses to forgive anything else: what one of them says, shows or tells must be what the other does.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, TypeAlias

from controller.engine import transport
from tests.contract import backends
from tests.contract.backends import DEADLINE, Backend
from tests.support.sim_container import SimContainer

Outcome: TypeAlias = tuple[int, str]
Picture: TypeAlias = dict[str, Any]
Label: TypeAlias = tuple[str, int]
"""An action, and how often it was told before."""

Event: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""An action, and attributes."""

LIMITS = ("Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuQuota", "CpusetCpus", "PidsLimit")
STATE = ("Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "ExitCode")
NEVER = "0001-01-01T00:00:00Z"
TOLD = {"name", "image", "exitCode", "signal", "oldName", "container", "type"}
RACES = {frozenset({end, call}) for end in ("die", "disconnect") for call in ("stop", "restart")}
"""Actions that the Engine tells from two threads: either may come first."""


class Side:
    """One Engine of the two, whose containers are known by the order in which they were made."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.ids: list[str] = []
        self.unsure: set[int] = set()
        self.chance: set[int] = set()
        self._begin = backend.facts().time
        self._starts: dict[str, str] = {}

    def call(self, method: str, path: str, body: transport.Row | None, query: dict[str, str]) -> Outcome:
        """Status and plain text of a call; `{0}` in path and body is the first container's id."""
        sent = {key: self.real(value) for key, value in body.items()} if body is not None else None
        answer = self.backend.call(method, self.real(path), sent, **query)
        if path == "/containers/create" and answer.status == 201:
            self.ids.append(str(answer.body["Id"]))
        return self.outcome(answer)

    def outcome(self, answer: transport.Answer) -> Outcome:
        """Status, and the plain text of a refusal."""
        return answer.status, self._plain(answer.message) if answer.status >= 400 else ""

    def real(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """A text with ids for their numbers."""
        if not isinstance(value, str):
            return value
        return re.sub(r"\{(\d+)(?::(\d+))?\}", lambda match: self._id(int(match[1]), match[2]), value)

    def _id(self, number: int, length: str | None) -> str:
        return self.ids[number][: int(length) if length else None]

    def _plain(self, text: str) -> str:
        for number, container_id in enumerate(self.ids):
            text = text.replace(container_id, f"<{number}>").replace(container_id[:12], f"<{number}>")
        text = re.sub(r"on endpoint (\S+) \([0-9a-f]+\)", r"on endpoint \1 (…)", text)
        return text.strip()

    def look(self) -> Picture:
        """All that list and inspect show of the containers, without ids and times."""
        rows = [self._row(row) for row in self.backend.client.list_containers()]
        return {
            "list": [self._blurred(row) for row in rows],
            "running": [self._number(row["Id"]) for row in self.backend.call("GET", "/containers/json").body],
            "containers": [self._inspect(container_id) for container_id in self.ids],
        }

    def _blurred(self, row: Picture) -> Picture:
        """Without what is chance."""
        return {**row, "networks": sorted(row["networks"])} if row["box"] in self.unsure else row

    def _number(self, container_id: str) -> int:
        return self.ids.index(container_id)

    def _row(self, row: transport.Row) -> Picture:
        networks = row["NetworkSettings"]["Networks"]
        status = re.sub(r"(Less than a|About a|\d+) (second|minute)s?( ago)?", "…", row["Status"])
        return {
            "box": self._number(row["Id"]),
            **{key: row[key] for key in ("Names", "State", "Image", "Labels")},
            "Status": status,
            "mode": row["HostConfig"]["NetworkMode"],
            "networks": {name: bool(item["IPAddress"]) for name, item in sorted(networks.items())},
        }

    def _inspect(self, container_id: str) -> Picture | None:
        row = self.backend.client.inspect_container(container_id)
        if row is None:
            return None
        state, host, config = row["State"], row["HostConfig"], row["Config"]
        networks = row["NetworkSettings"]["Networks"]
        return {
            "Name": row["Name"],
            **{key: state[key] for key in STATE},
            "Error": self._plain(state["Error"]),
            "process": state["Pid"] > 0,
            "started": state["StartedAt"] != NEVER,
            "finished": state["FinishedAt"] != NEVER,
            "as before": self._starts.get(container_id, NEVER) == state["StartedAt"],
            **{key: host.get(key) or None for key in LIMITS},
            "RestartPolicy": host["RestartPolicy"],
            "DeviceRequests": host["DeviceRequests"],
            "NetworkMode": host["NetworkMode"],
            **{key: config[key] for key in ("Image", "Labels", "Cmd", "User")},
            "Hostname": self._plain(config["Hostname"]),
            "networks": {name: bool(item["IPAddress"]) for name, item in sorted(networks.items())},
        }

    def remember(self) -> None:
        """Call the present processes the ones of before."""
        for container_id in self.ids:
            row = self.backend.client.inspect_container(container_id)
            if row is not None:
                self._starts[container_id] = str(row["State"]["StartedAt"])

    def told(self) -> dict[str, list[Event]]:
        """Events of each container and of its networks, in their order."""
        found: dict[str, list[Event]] = {}
        for event in self.backend.events(self._begin):
            actor = event["Actor"]
            attributes = actor["Attributes"]
            subject = attributes.get("container", "") if event["Type"] == "network" else actor["ID"]
            if subject in self.ids and not (
                event["Type"] == "network" and self._number(subject) in self.chance
            ):
                kept = {key: self._plain(value) for key, value in attributes.items() if key in TOLD}
                told = found.setdefault(f"<{self._number(subject)}>", [])
                told.append((str(event["Action"]), tuple(sorted(kept.items()))))
        return found


class Sides:
    """Both Engines. Every call is made to both, and what follows is compared."""

    def __init__(self, model: Backend, real: Backend) -> None:
        self.model, self.real = Side(model), Side(real)
        self.story: list[str] = []
        self.outcomes: Counter[tuple[str, int]] = Counter()

    @property
    def count(self) -> int:
        """How many containers were made, those that are gone included."""
        return len(self.model.ids)

    def there(self) -> list[int]:
        """The numbers of those containers that are not gone."""
        return list(self._containers())

    def running(self) -> list[int]:
        """The numbers of those that run, frozen or not."""
        return [number for number, container in self._containers().items() if container.running]

    def call(self, method: str, path: str, body: transport.Row | None = None, **query: str) -> Outcome:
        """The same call to both; the outcome that they agree on."""
        self.story.append(f"{method} {path} {query or ''} {body or ''}")
        expected = self.model.call(method, path, body, query)
        found = self.real.call(method, path, body, query)
        assert found == expected or self._choose(found), self._tell("answer", expected, found)
        self.outcomes[path.rpartition("/")[2] if method == "POST" else method, found[0]] += 1
        self.compare()
        return found

    def grace(self, box: str) -> str:
        """Seconds that are ample for a process that heeds a TERM, and few for one that does not."""
        row = self.model.backend.client.inspect_container(self.model.real(box))
        return "10" if row is not None and heeds_term(row) else "1"

    def end_process(self, number: int) -> None:
        """The main process of a container is killed from outside, if it has one."""
        self.story.append(f"the process of {{{number}}} is killed")
        for side in (self.model, self.real):
            side.backend.world.end_process(side.ids[number])
        self.compare()

    def _choose(self, found: Outcome) -> bool:
        """Whether the model allows that answer too; it goes on as if it had given it."""
        for container in self._containers().values():
            for answer in container.either:
                if found == self.model.outcome(answer):
                    container.error = answer.message
                    return True
        return False

    def _unsure(self) -> set[int]:
        """The containers of which it is chance what the list shows of their networks."""
        return {number for number, box in self._containers().items() if box.either and len(box.networks) > 1}

    def _containers(self) -> dict[int, SimContainer]:
        world = self.model.backend.world
        assert isinstance(world, backends.SimWorld)
        there = world.engine.containers
        return {number: there[key] for number, key in enumerate(self.model.ids) if key in there}

    def await_handlers(self) -> None:
        """Wait until the processes of those that heed a TERM have come so far; it would be lost before."""
        for number, container_id in enumerate(self.real.ids):
            row = self.model.backend.client.inspect_container(self.model.ids[number])
            if row is None or row["State"]["Status"] != "running" or not heeds_term(row):
                continue
            pid = self.real.backend.pid(container_id)
            backends.until(partial(self.real.backend.world.handles_term, pid))

    def compare(self) -> None:
        """Wait until both look alike: a death reaches the list later."""
        self.model.unsure = self.real.unsure = unsure = self._unsure()
        self.model.chance |= unsure
        self.real.chance |= unsure
        expected = self.model.look()
        deadline = time.monotonic() + DEADLINE / 4
        while (found := self.real.look()) != expected:
            assert time.monotonic() < deadline, self._tell("look", expected, found)
        self.await_handlers()
        self.model.remember()
        self.real.remember()

    def compare_events(self) -> None:
        """What was told is the same, in an order that the model allows."""
        expected, found = self.model.told(), self.real.told()
        assert expected.keys() == found.keys(), self._tell("events", expected, found)
        for box in expected:
            ours, theirs = certain(expected[box]), certain(found[box])
            fewer, more = Counter(ours), Counter(theirs)
            assert more == fewer, self._tell(f"events of {box}", [*(fewer - more)], [*(more - fewer)])
            allowed = in_order([action for action, _ in ours], [action for action, _ in theirs])
            assert allowed, self._tell(f"order of {box}", ours, theirs)

    def _tell(self, what: str, expected: object, found: object) -> str:
        lines = [*self.story, f"--- {what}: the model, then the Engine", *_differences(expected, found)]
        return "\n".join(lines)


def heeds_term(row: transport.Row) -> bool:
    """Whether a container's process is one that will catch TERM or have docker-init do so."""
    return bool(row["HostConfig"].get("Init")) or "trap" in " ".join(row["Config"]["Cmd"])


def certain(events: list[Event]) -> list[Event]:
    """Without those thaws after a kill or before a death that the Engine may be too late to tell."""
    own = [place for place, event in enumerate(events) if event[0] not in {"connect", "disconnect"}]
    late = {
        place
        for before, place, after in zip([None, *own], own, [*own[1:], None], strict=False)
        if events[place][0] == "unpause"
        and (
            (before is not None and events[before][0] == "kill")
            or (after is not None and events[after][0] == "die")
        )
    }
    return [event for place, event in enumerate(events) if place not in late]


def in_order(expected: list[str], found: list[str]) -> bool:
    """Whether the same actions were told in an order that races explain."""
    place = {label: number for number, label in enumerate(_labels(found))}
    return all(place[one] < place[other] for one, other in _ordered(list(_labels(expected))))


def _labels(actions: list[str]) -> Iterator[Label]:
    seen: Counter[str] = Counter()
    for action in actions:
        yield action, seen[action]
        seen[action] += 1


def _ordered(labels: list[Label]) -> Iterator[tuple[Label, Label]]:
    """The pairs whose order counts: all but those that race, with nothing between that does not race too."""
    for begin, one in enumerate(labels):
        for end, other in enumerate(labels[begin + 1 :], begin + 1):
            between = [label[0] for label in labels[begin + 1 : end]]
            if not _race(one[0], other[0]) or not all(
                _race(one[0], middle) or _race(middle, other[0]) for middle in between
            ):
                yield one, other


def _race(one: str, other: str) -> bool:
    return frozenset({one, other}) in RACES


def _differences(expected: object, found: object, path: str = "") -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected.keys() | found.keys():
            yield from _differences(expected.get(key), found.get(key), f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _differences(one, other, f"{path}[{number}]")
    elif expected != found:
        yield f"{path}: {expected!r}"
        yield f"{' ' * len(path)}  {found!r}"
