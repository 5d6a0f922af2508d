"""A change of many workspaces at once is carried out at a pace, and held where it is more than its share."""

import itertools
import json
import time
from datetime import datetime

import pytest

from tests.support import dockerd as dockerd_support
from tests.support import herd, process

MINUTE = 60.0
SLACK = 5.0


def test_of_twenty_changed_at_once_one_goes_one_waits_its_minute_and_eighteen_are_held(
    site: process.Site, engine: dockerd_support.Dockerd
) -> None:
    site.configure(safety={"deletionGrace": "1s"})
    herd.tag(engine, "1")
    names = herd.gather(site, 20)
    controller = site.run().ready()
    for name in names:
        controller.runs(name)
    with herd.listening(engine) as chronicle:
        herd.tag(engine, "2")
        controller.decided(names[-1], "BudgetExceeded")
        first, second, held = names[0], names[1], names[2:]
        paced = controller.decided(second, "Paced")
        assert "place 1" in paced["message"]
        due = datetime.fromisoformat(controller.status(second)["nextAttempt"])
        for name in held:
            decision = controller.status(name)["decision"]
            assert (decision["verdict"], decision["reason"]) == ("Hold", "BudgetExceeded")
            assert "wharf approve" in decision["message"]
        controller.runs(first)
        (stop,) = chronicle.of("die")
        assert stop.workspace == first
        assert 0 <= due.timestamp() - stop.at <= MINUTE + 1

        # What is held holds nobody else: a dead one is started, a new one is made, a person is obeyed.
        engine.client().kill(f"workspace-{held[0]}")
        controller.until(lambda: chronicle.of("start", workspace=held[0]), "a dead one is started again")
        site.spec("newcomer")
        controller.runs("newcomer")
        assert site.wharf("stop", held[1]).code == 0
        # Another cause has a share of its own; the minute is everybody's.
        site.spec("newcomer", {"env": {"A": "b"}, "lifecycle": {"changes": "Immediate"}})
        assert "Edited" not in controller.decided("newcomer", "Paced")["message"]
        stopped = {one.workspace for one in chronicle.of("die")}
        assert stopped == {first, held[0], held[1]}
        # A new controller begins with the same count.
        controller.kill()
        again = site.run().ready()
        again.decided(second, "Paced")
        again.decided(held[2], "BudgetExceeded")
        assert {one.workspace for one in chronicle.of("die")} == stopped
        # What a person deletes is neither paced nor broken, however many there are of it.
        deleted = held[2:6]
        for name in deleted:
            done = site.wharf("delete", "workspace", name, "--yes")
            assert done.code == 0, done
        assert {one.workspace for one in chronicle.of("die")} == {*stopped, *deleted}
        again.decided(second, "Paced")


@pytest.mark.full
def test_twenty_changed_at_once_go_a_minute_apart_once_they_are_approved(
    site: process.Site, engine: dockerd_support.Dockerd
) -> None:
    site.configure(safety={"deletionGrace": "1s"})
    herd.tag(engine, "1")
    names = herd.gather(site, 20)
    controller = site.run().ready()
    for name in names:
        controller.runs(name)
    with herd.listening(engine) as chronicle:
        began = time.time()
        herd.tag(engine, "2")
        controller.decided(names[-1], "BudgetExceeded")
        by_themselves = 2
        controller.until(lambda: len(chronicle.of("die")) == by_themselves, "its share", deadline=2 * MINUTE)
        controller.runs(names[1])
        approved = site.wharf("approve", "--all")
        assert approved.code == 0, approved
        said = time.time()
        controller.until(lambda: len(chronicle.of("die")) == len(names), "all of them", deadline=25 * MINUTE)
        controller.runs(names[-1])
    stops, starts = chronicle.of("die"), {one.workspace: one.at for one in chronicle.of("start")}
    rows = [
        {
            "workspace": one.workspace,
            "stopped": round(one.at - began, 1),
            "away": round(starts[one.workspace] - one.at, 2),
        }
        for one in stops
    ]
    log = {"approved": round(said - began, 1), "stops": rows}
    (dockerd_support.BASE.parent / "budget.json").write_text(json.dumps(log, indent=1))
    assert [one.workspace for one in stops] == names
    gaps = [later.at - sooner.at for sooner, later in itertools.pairwise(stops)]
    assert min(gaps) >= MINUTE - SLACK, "the pace is that of the decisions; a stop comes a moment later"
    assert max(gaps) <= MINUTE + 3 * SLACK
