"""The service behind a real control socket, on a real ledger, from reports that a test published."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.cli import control as control_client
from controller.cli import exits, trees
from controller.ledger.ledger import Ledger
from controller.model import actions
from controller.model.gpus import Ailment, Device, Fence
from controller.model.gpustatus import DeviceStatus, GpuStatus
from controller.model.images import ImageStore, StoredImage
from controller.model.memory import Pause
from controller.model.observed import Stranger, Unseen
from controller.model.plan import Decision, Verdict
from controller.model.slices import Use
from controller.model.status import OwnerStatus, PassReport
from controller.reporting import control, http, metrics
from controller.service import Facts, Service
from tests.support import builders, ledgers, reports, sliced

KEPT = "d" * 64
PARKED = Decision(
    "alice", Verdict.WAIT, Reason.CHANGE_PENDING, "image changed", change="v1:new", retry_at=None
)


class Containers:
    """One foreign container, and sizes of kept ones."""

    def container(self, name: str) -> Stranger | None:
        foreign = Stranger("e" * 64, "workspace-bob", "old:1", reports.NOW, {"a": "b"}, running=True)
        return foreign if name == foreign.name else None

    def layer_sizes(self, ids: Iterable[str]) -> Mapping[str, int]:
        return dict.fromkeys(ids, 4096)

    def images(self, references: Iterable[str], now: datetime) -> ImageStore | Unseen:
        assert now >= reports.NOW
        old = StoredImage("sha256:" + "1" * 64, ("old:1",), reports.NOW - timedelta(days=9), 10 << 30)
        used = replace(old, id="sha256:" + "2" * 64, references=("sample:1",))
        meant = {reference: used.id if reference == "sample:1" else None for reference in references}
        return ImageStore({old.id: old, used.id: used}, {}, meant)


@dataclass
class Site:
    """A service that answers at a socket."""

    service: Service
    ledger: Ledger
    client: control_client.Client
    wakes: list[str]

    def publish(self, *decided: Decision, after: float = 0) -> None:
        found: PassReport = reports.report([reports.status(one.workspace, one) for one in decided])
        self.service.publish(reports.report(found.statuses.values(), at=reports.later(after)))


@pytest.fixture
def site() -> Iterator[Site]:
    root = Path(tempfile.mkdtemp(prefix="wharf-"))
    ledger = Ledger.open(root / "state", reports.NOW)
    ledger.accept([ledgers.spec("alice")])
    wakes: list[str] = []
    facts = Facts("Enforce", "unix:///engine", root, timedelta(minutes=1))
    service = Service(ledger, Containers(), lambda: reports.later(1), lambda: wakes.append("now"), facts)
    socket = root / "control.sock"
    server = http.Server(http.Endpoints("127.0.0.1:0", socket), service, service, metrics.Metrics("1"))
    server.start()
    yield Site(service, ledger, control_client.Client(socket), wakes)
    server.stop()
    ledger.close()
    shutil.rmtree(root)


def keep(site: Site) -> None:
    kept = actions.RetainContainer("alice", KEPT, "workspace-alice.dddddddd", "SpecChanged")
    site.ledger.execute(kept, reports.NOW)


def test_an_approval_is_for_the_change_that_was_decided_last(site: Site) -> None:
    site.publish(PARKED)
    answer = site.client.post("workspaces", "alice", "approve").value
    assert trees.at(answer, "already") is False
    assert site.ledger.recall(b"", reports.NOW).approvals["alice"].change == "v1:new"
    assert site.wakes == ["now"]
    assert trees.at(site.client.post("workspaces", "alice", "approve").value, "already") is True


GPU = Device("GPU-8f2e4a0c", "Card", 40 << 30, "0")
PART = Device("MIG-1d", "Card", 10 << 30, "0:0", parent=GPU.uuid, profile="1g.10gb")
GPUS = GpuStatus(devices=(DeviceStatus(GPU), DeviceStatus(PART, workspaces=("bob",))))


def with_gpus(site: Site, status: GpuStatus = GPUS) -> None:
    site.service.publish(replace(reports.report([]), gpus=status))


def test_a_gpu_is_cordoned_by_the_beginning_of_its_uuid(site: Site) -> None:
    with_gpus(site)
    answer = site.client.post("gpus", "gpu-8f2", "cordon", body={"reason": " its fan "}).value
    assert trees.text(answer, "uuid") == GPU.uuid
    (cordon,) = site.ledger.recall(b"", reports.NOW).cordons.values()
    assert (cordon.uuid, cordon.reason, cordon.by, cordon.drain) == (GPU.uuid, "its fan", "root", False)
    assert site.wakes == ["now"]
    (event,) = site.ledger.events(f"gpu/{GPU.uuid}", 9)
    assert (event.reason, event.message) == (Reason.GPU_CORDONED, "root took it out of use: its fan")


def test_a_drain_says_who_has_the_gpu_or_a_part_of_it(site: Site) -> None:
    with_gpus(site)
    answer = site.client.post("gpus", GPU.uuid, "cordon", body={"reason": "x", "drain": True}).value
    assert trees.at(answer, "workspaces") == ["bob"]
    assert site.ledger.recall(b"", reports.NOW).cordons[GPU.uuid].drain
    assert site.ledger.events(f"gpu/{GPU.uuid}", 9)[0].reason is Reason.GPU_DRAINING


def test_a_gpu_is_put_back_into_use_even_if_it_is_gone(site: Site) -> None:
    with_gpus(site)
    site.client.post("gpus", GPU.uuid, "cordon", body={"reason": "x"})
    with_gpus(site, GpuStatus(unseen=Unseen(Reason.NOT_SEEN, "the driver hangs", reports.NOW)))
    assert trees.at(site.client.post("gpus", "GPU-8", "uncordon").value, "already") is False
    assert not site.ledger.recall(b"", reports.NOW).cordons
    with_gpus(site)
    assert trees.at(site.client.post("gpus", "GPU-8", "uncordon").value, "already") is True
    reasons = [event.reason for event in site.ledger.events(f"gpu/{GPU.uuid}", 9)]
    assert reasons == [Reason.GPU_CORDONED, Reason.GPU_UNCORDONED]


def test_who_puts_a_gpu_back_hears_what_else_keeps_it_out_of_use(site: Site) -> None:
    with_gpus(site)

    def put_back(uuid: str) -> str:
        return trees.text(site.client.post("gpus", uuid, "uncordon").value, "outOfUse", default="")

    assert put_back(GPU.uuid) == ""
    site.client.post("gpus", PART.uuid, "cordon", body={"reason": "x"})
    site.client.post("gpus", GPU.uuid, "cordon", body={"reason": "its fan"})
    assert put_back(PART.uuid) == f"{GPU.uuid} is cordoned by root: its fan"
    fence = Fence(GPU.uuid, Ailment.LOST, "it fell off the bus", reports.NOW, reports.NOW, lasts=True)
    site.ledger.fence([fence], [])
    assert put_back(GPU.uuid) == "it is out of use: it fell off the bus"
    assert put_back(PART.uuid) == f"{GPU.uuid} is out of use: it fell off the bus"


@pytest.mark.parametrize(
    ("name", "body", "code", "words"),
    [
        ("0", {"reason": "x"}, exits.ExitCode.ERROR, "0 is GPU-8f2e4a0c now"),
        ("0:7", {"reason": "x"}, exits.ExitCode.ERROR, "write the UUID"),
        ("GPU-0", {"reason": "x"}, exits.ExitCode.NOT_FOUND, "GPU-0"),
        ("GPU-8", {"reason": " "}, exits.ExitCode.ERROR, "reason"),
        ("GPU-8", {"reason": "x", "drain": "yes"}, exits.ExitCode.ERROR, "drain"),
    ],
)
def test_a_cordon_that_is_not_certain_is_refused(
    site: Site, name: str, body: dict[str, trees.Json], code: exits.ExitCode, words: str
) -> None:
    with_gpus(site)
    with pytest.raises(exits.Failure) as caught:
        site.client.post("gpus", name, "cordon", body=body)
    assert (caught.value.code, words in caught.value.message) == (code, True), caught.value
    assert not site.ledger.recall(b"", reports.NOW).cordons


def test_a_gpu_that_nobody_could_look_for_may_be_there(site: Site) -> None:
    with_gpus(site, GpuStatus(unseen=Unseen(Reason.NOT_SEEN, "the driver hangs", reports.NOW)))
    with pytest.raises(exits.Failure) as caught:
        site.client.post("gpus", "GPU-1", "cordon", body={"reason": "x"})
    assert "the driver hangs" in caught.value.message


def test_a_refusal_has_the_exit_code_of_a_hold(site: Site) -> None:
    site.publish(reports.decision("alice"))
    with pytest.raises(exits.Failure) as caught:
        site.client.post("workspaces", "alice", "approve")
    assert caught.value.code is exits.ExitCode.REFUSED
    assert site.wakes == []
    with pytest.raises(exits.Failure) as caught:
        site.client.post("workspaces", "carol", "approve")
    assert caught.value.code is exits.ExitCode.NOT_FOUND


def test_a_roll_back_is_awaited_in_a_later_pass(site: Site) -> None:
    site.publish(PARKED)
    with pytest.raises(exits.Failure) as caught:
        site.client.post("workspaces", "alice", "rollback")
    assert caught.value.code is exits.ExitCode.NOT_FOUND
    keep(site)
    answer = site.client.post("workspaces", "alice", "rollback").value
    assert trees.text(answer, "container") == "workspace-alice.dddddddd"
    assert site.ledger.recall(b"", reports.NOW).rollbacks["alice"].to_id == KEPT
    pinned = reports.decision("alice", Verdict.KEEP, Reason.PINNED)
    anything = control.Awaited(None, None)
    site.publish(pinned)
    assert not site.service.settled("alice", anything)[0]
    site.publish(pinned, after=2)
    assert site.service.settled("alice", anything)[0]


def test_a_deletion_is_written_down_for_a_workspace_that_is_known(site: Site) -> None:
    site.ledger.accept([ledgers.spec("alice")])
    site.client.post("workspaces", "alice", "delete")
    (asked,) = site.ledger.recall(b"", reports.NOW).removal_requests.values()
    assert (asked.workspace, asked.by, site.wakes) == ("alice", "root", ["now"])
    with pytest.raises(exits.Failure) as caught:
        site.client.post("workspaces", "carol", "delete")
    assert caught.value.code is exits.ExitCode.NOT_FOUND
    assert set(site.ledger.recall(b"", reports.NOW).removal_requests) == {"alice"}


def test_kept_containers_have_their_sizes_and_go(site: Site) -> None:
    site.publish(reports.decision("alice"))
    keep(site)
    (kept,) = trees.each(site.client.get("retained").value, "items")
    assert (kept["size"], kept["workspace"]) == (4096, "alice")
    site.client.post("retained", "workspace-alice.dddddddd", "forget")
    assert set(site.ledger.recall(b"", reports.NOW).forget_requests) == {KEPT}


def test_a_foreign_container_is_shown_and_adopted(site: Site) -> None:
    site.publish(reports.decision("bob", Verdict.HOLD, Reason.NAME_TAKEN))
    shown = site.client.get("adoptable", "bob").value
    assert (trees.text(shown, "image"), trees.at(shown, "labels")) == ("old:1", {"a": "b"})
    site.client.post("adopt", body={"name": "bob", "id": trees.text(shown, "id")})
    assert set(site.ledger.recall(b"", reports.NOW).adopted) == {"e" * 64}
    assert trees.at(site.client.get("adoptable", "bob").value, "owned") is True


def test_a_story_has_what_is_remembered_and_what_happened(site: Site) -> None:
    number = site.ledger.open_intent(ledgers.decision("alice"), reports.NOW)
    site.ledger.resolve_intent(number, (), reports.NOW)
    site.ledger.note_gpu_waits({"alice": reports.NOW})
    site.publish(PARKED)
    site.client.post("workspaces", "alice", "approve")
    story = site.client.get("workspaces", "alice", "story").value
    assert [fact["what"] for fact in trees.each(story, "remembered")] == ["waits for GPUs", "approved"]
    kinds = [trees.text(entry, "reason") for entry in trees.each(story, "history")]
    assert kinds == ["Start (ContainerExited)", "Approved"]
    with pytest.raises(exits.Failure) as caught:
        site.client.get("workspaces", "carol", "story")
    assert caught.value.code is exits.ExitCode.NOT_FOUND


def test_a_plan_names_owners(site: Site) -> None:
    site.publish(PARKED)
    (decided,) = trees.each(site.client.get("plan").value, "decisions")
    assert trees.text(decided, "owner") == "alice"
    assert "wharf approve alice" in trees.text(decided, "when")


def with_disk(site: Site, percent: int | None, mode: str = "Enforce") -> None:
    wanted = {"sample:1": "catalog sample"}
    disk = (
        Unseen(Reason.NOT_SEEN, "it is far away", reports.NOW) if percent is None else builders.disk(percent)
    )
    report = replace(reports.report([]), disk=disk, wanted_images=wanted, mode=mode)
    site.service.publish(report)


def test_a_user_is_told_unless_the_policy_cannot_be_read(site: Site) -> None:
    owner = OwnerStatus("alice", None, "", (), "no group lists the owner", (), (), (), (), ("alice",))
    report = reports.report([reports.status("alice", PARKED)])
    site.service.publish(replace(report, owners={"alice": owner}))
    found = site.client.get("users", "alice").value
    assert trees.text(found, "group", "why") == "no group lists the owner"
    assert [trees.text(one, "reason") for one in trees.each(found, "workspaces")] == ["ChangePending"]
    with pytest.raises(exits.Failure) as unknown:
        site.client.get("users", "bob")
    assert unknown.value.code == exits.ExitCode.NOT_FOUND
    site.service.publish(replace(report, unseen=(("policy", Reason.POLICY_REJECTED, "line 3 is wrong"),)))
    with pytest.raises(exits.Failure, match="line 3 is wrong"):
        site.client.get("users", "alice")


def test_what_would_go_is_told_with_what_stays_and_why(site: Site) -> None:
    with_disk(site, 85)
    found = site.client.get("garbage").value
    told = [(one["name"], one["action"], one["reason"]) for one in trees.each(found, "items")]
    assert told == [("old:1", "Remove", "nothing uses it"), ("sample:1", "Keep", "catalog sample")]
    assert trees.at(found, "disk", "percent") == 85
    assert trees.at(found, "underWay") is False
    with_disk(site, 80)
    (first, _) = trees.each(site.client.get("garbage").value, "items")
    assert (first["action"], first["reason"]) == ("Keep", "nothing uses it, and there is room enough")


def test_what_is_known_while_the_disk_is_unseen_is_told(site: Site) -> None:
    with_disk(site, None)
    found = site.client.get("garbage").value
    assert trees.at(found, "disk") is None
    assert trees.text(found, "unseen") == "it is far away"
    assert {one["action"] for one in trees.each(found, "items")} == {"Keep"}


def test_room_is_wanted_until_it_is_made_and_not_for_ever(site: Site) -> None:
    with_disk(site, 85)
    assert trees.at(site.client.post("collect").value, "needed") is True
    assert site.wakes == ["now"]
    assert trees.at(site.client.get("collection").value, "underWay") is True
    asked = site.service.errands.room_wanted(reports.later(1))
    site.service.errands.want_room(reports.later(9))
    assert site.service.errands.room_wanted(reports.later(600)) == asked == reports.later(1)
    assert site.service.errands.room_wanted(reports.later(602)) is None
    site.client.post("collect")
    site.service.errands.room_made()
    assert trees.at(site.client.get("collection").value, "underWay") is False


def test_where_there_is_room_nothing_is_wanted(site: Site) -> None:
    with_disk(site, 80)
    assert trees.at(site.client.post("collect").value, "needed") is False
    assert site.service.errands.room_wanted(reports.later(1)) is None


@pytest.mark.parametrize("why", ["paused", "observing", "unseen"])
def test_room_is_refused_where_nothing_may_go(site: Site, why: str) -> None:
    with_disk(site, None if why == "unseen" else 95, "Observe" if why == "observing" else "Enforce")
    if why == "paused":
        site.ledger.pause(None, Pause("new disks", reports.NOW, "root"))
    with pytest.raises(exits.Failure) as caught:
        site.client.post("collect")
    assert caught.value.code is exits.ExitCode.REFUSED
    assert site.service.errands.room_wanted(reports.later(1)) is None


def test_without_a_policy_nobody_can_tell_what_is_wanted(site: Site) -> None:
    unread = Unseen(Reason.POLICY_REJECTED, "policy.yaml:3:1", reports.NOW)
    site.service.publish(replace(reports.report([]), wanted_images=unread))
    with pytest.raises(exits.Failure) as caught:
        site.client.get("garbage")
    assert caught.value.code is exits.ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    ("reason", "settled"),
    [(Reason.GPU_QUEUED, True), (Reason.GPU_DRIVER_MISMATCH, True), (Reason.GPU_CONTENDED, False)],
)
def test_nobody_waits_for_a_turn_in_the_queue_for_gpus(site: Site, reason: Reason, settled: bool) -> None:
    site.publish(reports.decision("alice", Verdict.WAIT, reason))
    assert site.service.settled("alice", control.Awaited(None, None))[0] is settled


def test_slices_are_told_as_of_the_last_pass_with_processors_in_use(site: Site) -> None:
    for seconds, cpu in ((0, 10), (10, 15)):
        owned = sliced.owned(use=Use(cpu_seconds=cpu))
        report = sliced.report([sliced.running("alice")], [owned])
        site.service.publish(replace(report, at=reports.later(seconds)))
    (item,) = trees.each(site.client.get("slices").value, "items")
    assert (item["name"], item["cpus"], item["state"]) == ("alice", 0.5, "AsSpecified")
    workspace = site.client.get("workspaces", "alice").value
    assert trees.at(workspace, "status", "slice") == {"name": "/wharf/alice"}
    assert trees.at(site.client.get("usage").value, "driver") == "Cgroupfs"
