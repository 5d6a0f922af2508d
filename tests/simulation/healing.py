"""Knows how a host is healed, and what is not as people want it then.

It refuses to wait for what a person must do: the healing is where people do it; what must come true is in
`liveness`.
"""

import hashlib
import random
from typing import Final

from controller.api import labels
from controller.api.conditions import Reason
from controller.model.plan import Decision, Verdict
from controller.model.slices import subject
from controller.planning.case import Blueprint
from controller.reporting import control
from tests.simulation import acts, faults, laws, liveness, slice_ends
from tests.simulation.engine import PERSON
from tests.simulation.judging import ViolatedError
from tests.simulation.process import Process
from tests.simulation.scenario import NAMES
from tests.simulation.world import World
from tests.support import specfiles
from tests.support.sim_container import SimContainer

SOON: Final = 60.0
"""Seconds in which all is as wanted (L1), the known waits of the product not counted."""
WAITS: Final = 2.5 + 5.0 + 10.0 + 10.0
"""Seconds until a file settles and is confirmed, a resync and half, and until a replacement is proven."""
QUIET: Final = 600.0
"""Seconds in which nothing more is changed then."""
ASKED_EVERY: Final = 5.0
"""Seconds after which people look again at what waits for them, and at what is said."""
WAITS_FOR_GPUS: Final = frozenset({Reason.GPU_QUEUED, Reason.OWN_GPU_BUSY, Reason.GPU_UNAVAILABLE})
IN_BETWEEN: Final = frozenset({Reason.PROVING, Reason.IN_PROGRESS, Reason.REPLACEMENT_UNDER_WAY})
"""What has two containers soon has one, and the devices of the other are free."""
PASSING: Final = 30.0
"""Seconds after which no claim is one that ends by itself soon, as of a process that was seen last."""
POISONS: Final = ("", "  image: absent:1\n", '  command: ["/bin/nothing"]\n', "stuck")


class Healed:
    """One host after its faults.

    Attributes:
        poisoned: a workspace that cannot be as wanted, and must not keep others from it; or none.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        chance = random.Random(f"healed/{world.scenario.seed}")
        self.wanted = tuple(name for name in NAMES if chance.random() < 0.8)  # noqa: PLR2004 - most
        self._poison = chance.choice(POISONS)
        self.poisoned = chance.choice(self.wanted) if self.wanted and self._poison else ""
        self._asked_at = self._heard_at = self._begun = self._due = 0.0
        self._silent: dict[str, float] = {}
        self._settled: tuple[int, int] | None = None

    def judge(self) -> None:
        """Heal, wait, and see.

        Raises:
            ViolatedError: one of `liveness.LIVENESS` does not hold.
        """
        with self.world.files.mounted():
            self._heal()
            self._wait()
            self._rest()

    def _heal(self) -> None:
        world = self.world
        world.calm()
        faults.heal(world)
        gpus, slices = world.board is not None, world.slices is not None
        world.law = laws.at_first(world.scenario.seed, gpus=gpus, slices=slices, hold="1s")
        world.put_policy()
        for file in world.files.names():
            workspace = file.removesuffix(".yaml")
            if workspace not in self.wanted:
                acts.remove_file(world, file)
        chance = random.Random(f"mended/{world.scenario.seed}")
        for name in self.wanted:
            extra = self._poison if name == self.poisoned and self._poison != "stuck" else ""
            board = world.board if name != self.poisoned else None
            text = specfiles.workspace(name, acts.calm(chance, name, board) + extra) + b"...\n"
            world.write_spec(f"{name}.yaml", name, text, how="rename")
        self._tidy()
        world.boot_controller()

    def _tidy(self) -> None:
        """An admin takes away what is not ours, and what of ours nobody uses under another name."""
        engine = self.world.engine
        mains = {labels.container_name(name) for name in NAMES}
        for container in list(engine.containers.values()):
            workspace = engine.owner(container)
            main = engine.find(labels.container_name(workspace)) if workspace else None
            instance = container.config["Labels"].get(labels.INSTANCE, "")
            own = {labels.container_name(workspace), labels.retained_name(workspace, instance)}
            spare = workspace not in self.wanted or (main is not None and main.id != container.id)
            if not workspace or (container.name not in own and (spare or container.name in mains)):
                self._by_hand("DELETE", container)
        if self._poison == "stuck" and (found := engine.find(labels.container_name(self.poisoned))):
            engine.stuck.add(found.id)

    def _wait(self) -> None:
        world, scenario = self.world, self.world.scenario
        pace = 60.0 * (1 + len(NAMES) // scenario.per_minute)
        self._begun = self._asked_at = world.monotonic()
        self._due = SOON + WAITS + 2 * scenario.grace + pace
        while self._at_work() or any(name != self.poisoned for name in self._amiss()):
            world.step()
            if world.monotonic() - self._asked_at > ASKED_EVERY:
                self._asked_at = world.monotonic()
                self._approve()
            if world.monotonic() - self._begun > min(self._due, liveness.NAMED_AFTER):
                self._judge()

    def _judge(self) -> None:
        after = self._aftermath()
        for promise in liveness.LIVENESS:
            for sentence in promise.check(after):
                raise ViolatedError(promise.id, sentence)

    def _listen(self) -> None:
        """Note since when nobody says that something is amiss."""
        process, now = self.world.process, self.world.monotonic()
        if process is not None and process.report is not None and not self._at_work():
            found = liveness.silent(self._amiss(), _decided(process))
            self._silent = {name: self._silent.get(name, now) for name in found}
            self._heard_at = now

    def _aftermath(self) -> liveness.Aftermath:
        self._listen()
        world, now = self.world, self.world.monotonic()
        process = world.process
        return liveness.Aftermath(
            seconds=now - self._begun,
            due=self._due,
            wanted=(*self.wanted, *slice_ends.subjects(world, self.wanted)),
            poisoned=self.poisoned,
            amiss=self._amiss(),
            at_work=self._at_work(),
            silent={name: now - since for name, since in self._silent.items()},
            decisions=_decided(process),
            happenings=world.engine.happenings,
            deeds=world.deeds.all,
            its_slices=slice_ends.subjects(world, (self.poisoned,)) if self.poisoned else (),
            settled=self._settled,
        )

    def _approve(self) -> None:
        """People let go what waits for their word, and try again what failed."""
        process = self.world.process
        if process is None or process.report is None:
            return
        for uuid in process.ledger.recall(b"", self.world.wall()).cordons:
            process.service.uncordon(uuid, acts.CALLER)
        for name, status in process.report.statuses.items():
            if name == self.poisoned:
                continue
            try:
                self._answer(process, name, status.decision.reason)
            except control.ControlError:
                continue

    def _answer(self, process: Process, name: str, reason: Reason) -> None:
        """What a person does who reads why a workspace is not as specified."""
        if reason is Reason.PAUSED:
            process.service.resume(None, acts.CALLER)
            process.service.resume(name, acts.CALLER)
        elif reason in {Reason.REPLACEMENT_FAILED, Reason.CRASH_LOOP, Reason.BACKING_OFF}:
            acts.command(self.world, "restart", name)
        elif reason is Reason.STOPPED_BY_REQUEST:
            acts.command(self.world, "start", name)
        elif reason is Reason.CONTAINER_BUSY:
            self._stop_beside(name)
        elif reason is Reason.ORPHANED:
            self._by_hand("DELETE", self.world.engine.find(labels.container_name(name)))
        else:
            acts.command(self.world, "approve", name)

    def _stop_beside(self, name: str) -> None:
        """A person stops what runs of the workspace under a name that somebody else gave it."""
        engine = self.world.engine
        main = engine.find(labels.container_name(name))
        for container in list(engine.containers.values()):
            if engine.owner(container) == name and container is not main and container.running:
                self._by_hand("POST", container, "/stop")

    def _by_hand(self, method: str, container: SimContainer | None, path: str = "") -> None:
        """A person asks the Engine to do something with a container."""
        if container is not None:
            self.world.engine.asker = PERSON
            query = {"t": "0"} if path else {"force": "1"}
            self.world.engine.by_hand(method, f"/containers/{container.id}{path}", query)

    def _at_work(self) -> str:
        """Why the controller is not at rest, or empty."""
        process = self.world.process
        if process is None or process.report is None or process.passing or process.crew.busy():
            return "the controller is at work"
        if process.policies._policy.digest != _digest(self.world.law.text()):
            return "the policy is not in force"
        return "an intent is open" if process.ledger.recall(b"", self.world.wall()).open_intents else ""

    def _amiss(self) -> dict[str, str]:
        """What is not as people want it, in a sentence for each workspace."""
        if self.world.process is None:
            return {}
        found = {name: why for name in NAMES if (why := self._why(name))}
        of_slices = slice_ends.amiss(self.world, self.wanted, self.poisoned)
        for owner in {slice_ends.owner_of(name) for name in self.wanted}:
            if slice_ends.is_held(self.world, owner, self._stuck()):
                of_slices.pop(subject(owner), None)
        return found | of_slices

    def _stuck(self) -> str:
        """The workspace whose container cannot be inspected, or empty."""
        return self.poisoned if self._poison == "stuck" else ""

    def _why(self, name: str) -> str:
        """What is not as wanted of one workspace."""
        process, engine = self.world.process, self.world.engine
        assert process is not None
        main = engine.find(labels.container_name(name))
        if name not in self.wanted:
            return self._left_of(name, process, main)
        design = process.planner.designs.get(name)
        decision = process.report.plan.decisions.get(name) if process.report else None
        if isinstance(design, Blueprint) and decision is not None and self._must_wait(design, decision):
            return ""
        if main is None or not isinstance(design, Blueprint):
            return f"{name} has no container"
        image = engine.find_image(design.template.image)
        same = main.config["Labels"].get(labels.TEMPLATE_HASH) == design.identity[labels.TEMPLATE_HASH]
        if main.status != "running" or not same or image is None or main.image_id != image.id:
            return f"{name} is {main.status}" + ("" if same else ", from another template")
        spec = process.ledger.recall(b"", self.world.wall()).accepted.get(name)
        file = self.world.files.specs.files.get(f"{name}.yaml") if self.world.files.specs else None
        if spec is None or file is None or spec.digest != _digest(file.text):
            return f"the spec of {name} is not in force"
        if decision is None or decision.verdict is not Verdict.KEEP:
            return f"{name} is not left alone"
        return self._misled(name, main, design)

    def _left_of(self, name: str, process: Process, main: SimContainer | None) -> str:
        """What is still there of a workspace that nobody wants."""
        if f"wharf-{name}.yaml" in self.world.routes:
            return f"{name} is not wanted and can still be reached"
        memory = process.ledger.recall(b"", self.world.wall())
        if main is not None or name in memory.accepted:
            return f"{name} is not wanted and still there"
        if any(g.workspace == name for g in memory.port_grants):
            return f"{name} still has a port"
        equipment = process.planner.equipment
        claims = equipment.holdings.claims if equipment is not None else ()
        return f"{name} still has a GPU" if any(one.workspace == name for one in claims) else ""

    def _must_wait(self, design: Blueprint, decision: Decision) -> bool:
        """Tell whether a workspace waits for what it cannot have in truth."""
        world, wish = self.world, design.effective.gpu
        owner = design.effective.owner
        if decision.reason is Reason.SLICE_PENDING and slice_ends.is_held(world, owner, self._stuck()):
            return True
        if decision.reason is Reason.LIMIT_UNENFORCEABLE:
            return slice_ends.is_impossible(world, decision.workspace)
        process = world.process
        if world.board is None or process is None or wish is None:
            return False
        if self._poison == "stuck" and "cannot be inspected, and may have any device" in decision.message:
            return True  # nobody knows what it has, and one who does not answer is never taken for nothing
        if decision.reason not in WAITS_FOR_GPUS:
            return False
        decisions = process.report.plan.decisions if process.report else {}
        poisoned = decisions.get(self.poisoned)
        equipment = process.planner.equipment
        passing = equipment is not None and equipment.holdings.next_end is not None
        passing = passing or world.monotonic() - self._begun < PASSING
        if passing or (poisoned is not None and poisoned.reason in IN_BETWEEN):
            return False  # what somebody has had is free soon
        others = (one for name, one in decisions.items() if name != decision.workspace)
        aside = any("set aside for it" in one.message for one in others)
        blamed = self.poisoned if f"workspace {self.poisoned} has" in decision.message else ""
        free = world.board.free(wish, decision.workspace, process.sight().wishes, blamed)
        return aside or len(free) < (1 if wish.all else wish.count)

    def _misled(self, name: str, main: SimContainer, design: Blueprint) -> str:
        """What is not as wanted of what leads from the proxy to a workspace that runs."""
        slices, parent = self.world.slices, main.host_config.get("CgroupParent", "")
        if slices is not None and (why := slice_ends.outside(slices.tree, name, parent)):
            return why
        text = self.world.routes.get(f"wharf-{name}.yaml", "")
        host = f"Host(`{design.effective.owner}-code.lab.test`)"
        having = sum(host in document for document in self.world.routes.values())
        if having > 1:
            return f"two documents have {host}"
        if bool(design.names.routes) != bool(text) and not (having and not text):
            return f"{name} " + ("can be reached" if text else "cannot be reached") + " by its name"
        addresses = {endpoint["IPAddress"] for endpoint in main.networks.values()}
        wrong = text and not any(f"//{address}:8080" in text for address in addresses)
        return f"the document of {name} leads elsewhere" if wrong else ""

    def _rest(self) -> None:
        """Nobody does anything for a while."""
        world = self.world
        until, self._settled = world.monotonic() + QUIET, (len(world.engine.happenings), len(world.deeds.all))
        while world.monotonic() < until:
            world.step()
            if world.monotonic() - self._heard_at > ASKED_EVERY:
                self._listen()
        self._judge()


def _decided(process: Process | None) -> dict[str, Decision]:
    """What was decided last: for workspaces, and beside them."""
    if process is None or process.report is None:
        return {}
    plan = process.report.plan
    return {**{one.workspace: one for one in plan.upkeep}, **plan.decisions}


def _digest(text: bytes) -> str:
    """The digest by which the controller knows a file."""
    return hashlib.sha256(text).hexdigest()
