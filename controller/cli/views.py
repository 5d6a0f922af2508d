"""What can be read of a host: from the controller when it answers, else from files, Engine and ledger.

It changes nothing, and gives the same objects whichever way they were read.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from controller import settings
from controller.api.conditions import Reason
from controller.cli import control, exits, session, trees
from controller.model import memory, status
from controller.model.errors import EffectError
from controller.status import gpus, images, owners, planned, records, slices, story, wording

if TYPE_CHECKING:
    from controller.ledger import ledger
    from controller.surroundings import Slices

_NO_NONCE: Final = bytes(32)
OFFLINE: Final = "the controller is not running; this is read from files, Engine and ledger"


class View(Protocol):
    """The readable side of a host. All may raise exits.Failure."""

    @property
    def online(self) -> bool:
        """Whether a controller answers."""
        ...

    def workspaces(self) -> control.Answer:
        """The objects of all workspaces, as `{"items": [...]}`, by name."""
        ...

    def plan(self) -> control.Answer:
        """The plan, as `controller.status.planned.PlanObject`."""
        ...

    def story(self, name: str) -> control.Answer:
        """Why a workspace is as it is, as `controller.status.story.StoryObject`."""
        ...

    def events(self, subject: str | None, limit: int) -> control.Answer:
        """Events as `{"items": [...]}`, newest last."""
        ...

    def retained(self) -> control.Answer:
        """Kept containers as `{"items": [...]}`."""
        ...

    def ports(self) -> control.Answer:
        """Port blocks and grants, as `controller.status.records.PortsObject`."""
        ...

    def user(self, name: str) -> control.Answer:
        """What an owner may have and has, as `controller.status.owners.UserObject`."""
        ...

    def images(self) -> control.Answer:
        """The catalog's images as `{"items": [...]}`."""
        ...

    def gpus(self) -> control.Answer:
        """All GPUs and who waits for any, as `controller.status.gpus.GpusObject`."""
        ...

    def slices(self) -> control.Answer:
        """All slices, as `controller.status.slices.SlicesObject`."""
        ...

    def usage(self) -> control.Answer:
        """What is used right now, as `controller.status.slices.UsageObject`."""
        ...

    def garbage(self) -> control.Answer:
        """All images and why each stays or would go, as `controller.status.garbage.GarbageObject`."""
        ...


class _Online:
    """Asks the controller."""

    online = True

    def __init__(self, client: control.Client) -> None:
        self._client = client

    def workspaces(self) -> control.Answer:
        return self._client.get("workspaces")

    def plan(self) -> control.Answer:
        return self._client.get("plan")

    def story(self, name: str) -> control.Answer:
        return self._client.get("workspaces", name, "story")

    def events(self, subject: str | None, limit: int) -> control.Answer:
        query = {"limit": str(limit)} | ({} if subject is None else {"subject": subject})
        return self._client.get("events", **query)

    def retained(self) -> control.Answer:
        return self._client.get("retained")

    def ports(self) -> control.Answer:
        return self._client.get("ports")

    def user(self, name: str) -> control.Answer:
        return self._client.get("users", name)

    def images(self) -> control.Answer:
        return self._client.get("images")

    def gpus(self) -> control.Answer:
        return self._client.get("gpus")

    def slices(self) -> control.Answer:
        return self._client.get("slices")

    def usage(self) -> control.Answer:
        return self._client.get("usage")

    def garbage(self) -> control.Answer:
        return self._client.get("garbage")


class _Offline:
    """Looks and decides as the controller would, and carries nothing out."""

    online = False

    def __init__(self, chosen: settings.Settings) -> None:
        self._settings = chosen
        self._report: status.PassReport | None = None
        self._room: Slices | None = None

    def workspaces(self) -> control.Answer:
        report = self._survey()
        known = (report.statuses[name] for name in sorted(report.statuses))
        return _answer({"items": [wording.object_of(one, report.slices) for one in known]}, report.at)

    def plan(self) -> control.Answer:
        report = self._survey()
        return _answer(planned.plan_object(report.plan, report.statuses), report.at)

    def story(self, name: str) -> control.Answer:
        report = self._survey()
        if name not in report.statuses:
            raise not_found("workspace", [name])
        opened = self._open()
        chains, events = ((), ()) if opened is None else _history(opened, name)
        found = story.story_object(report.statuses[name], self._recall(), chains, events)
        return _answer(found, report.at)

    def events(self, subject: str | None, limit: int) -> control.Answer:
        opened = self._open()
        if opened is None:
            return _answer({"items": []}, self._survey().at)
        try:
            found = opened.events(subject, limit)
        finally:
            opened.close()
        return _answer({"items": [records.event_object(event) for event in found]}, self._survey().at)

    def retained(self) -> control.Answer:
        return _answer({"items": records.retained_objects(self._recall())}, self._survey().at)

    def ports(self) -> control.Answer:
        return _answer(records.ports_object(self._recall()), self._survey().at)

    def user(self, name: str) -> control.Answer:
        report = self._survey()
        try:
            return _answer(owners.user_object(report, name), report.at)
        except KeyError:
            for part, _, message in report.unseen:
                if part == "policy":  # without it nobody is known
                    raise exits.Failure(exits.ExitCode.UNREACHABLE, f"the policy: {message}") from None
            raise not_found("user", [name]) from None

    def images(self) -> control.Answer:
        report = self._survey()
        return _answer({"items": images.image_objects(report, self._recall())}, report.at)

    def gpus(self) -> control.Answer:
        report = self._survey()
        return _answer(gpus.gpus_object(report.gpus), report.at)

    def slices(self) -> control.Answer:
        report = self._survey()
        return _answer(slices.slices_object(report), report.at)

    def usage(self) -> control.Answer:
        from controller import accounting, manager  # noqa: PLC0415 - needless while a controller answers
        from controller.slices import room  # noqa: PLC0415 - likewise

        if self._room is None:
            self._room = room.Room()
        at = manager.clock()
        found = accounting.look(self._survey(), self._room, self._settings.config.slices.root, at)
        return _answer(found, at)

    def garbage(self) -> control.Answer:
        from controller import assembly, collecting  # noqa: PLC0415 - needless while a controller answers
        from controller.reporting.control import ControlError  # noqa: PLC0415 - likewise

        report = self._survey()
        low = self._settings.config.disk.low_watermark
        client = assembly.connect(self._settings, lambda *_: None)
        try:
            asked = assembly.inquiries(client)
            found = collecting.look(report, asked, self._recall(), low, report.at)
        except ControlError as error:
            raise exits.Failure(exits.of_status(error.status), error.message) from error
        finally:
            client.close()
        return _answer(found, report.at)

    def _recall(self) -> memory.Memory:
        opened = self._open()
        if opened is None:
            return memory.Memory(epoch=0, claim_key=b"", nonce=_NO_NONCE)
        try:
            return opened.recall(_NO_NONCE, self._survey().at)
        finally:
            opened.close()

    def _open(self) -> ledger.Ledger | None:
        from controller.ledger import ledger  # noqa: PLC0415 - needless while a controller answers

        try:
            return ledger.Ledger.open_read_only(self._settings.state_dir)
        except EffectError as error:
            raise failure(error) from error

    def _survey(self) -> status.PassReport:
        if self._report is None:
            self._report = survey(self._settings)
        return self._report


def _history(opened: ledger.Ledger, name: str) -> tuple[tuple[story.Chain, ...], tuple[status.Event, ...]]:
    """The last chains and events of a workspace; the ledger is closed."""
    try:
        return opened.intents(name, story.CHAINS), opened.events(name, story.EVENTS)
    finally:
        opened.close()


def survey(chosen: settings.Settings, spec_dir: Path | None = None) -> status.PassReport:
    """One look and decision without a controller; what could not be looked at is said on stderr.

    `spec_dir` is looked at as if it were the configured one, and its files as if they were meant.

    Raises:
        exits.Failure: the look failed as a whole.
    """
    from controller import manager  # noqa: PLC0415 - needless while a controller answers

    try:
        report = manager.survey(chosen, spec_dir)
    except EffectError as error:
        raise failure(error) from error
    for part, _, message in report.unseen:
        session.say(f"{part} could not be looked at: {message}")
    return report


def failure(error: EffectError) -> exits.Failure:
    """The failure that an effect's error means for the command."""
    unreachable = error.reason is Reason.ENGINE_UNAVAILABLE
    code = exits.ExitCode.UNREACHABLE if unreachable else exits.ExitCode.ERROR
    return exits.Failure(code, error.message)


def open_view(this: session.Session) -> View:
    """The view of the host: the controller's if it answers; if not, that is said on stderr."""
    client = this.controller()
    try:
        client.get("version")
    except control.UnreachableError:
        session.say(OFFLINE)
        return _Offline(this.settings)
    return _Online(client)


def find(found: control.Answer, name: str) -> trees.Object:
    """The workspace object of that name.

    Raises:
        exits.Failure: there is none.
    """
    for item in trees.each(found.value, "items"):
        if trees.name_of(item) == name:
            return item
    raise not_found("workspace", [name])


def not_found(kind: str, names: list[str]) -> exits.Failure:
    """The failure that names what is not there."""
    missing = ", ".join(f"{kind}/{name}" for name in names)
    return exits.Failure(exits.ExitCode.NOT_FOUND, f"{missing}: not found")


def _answer(value: object, at: datetime) -> control.Answer:
    return control.Answer(cast("trees.Json", value), at)
