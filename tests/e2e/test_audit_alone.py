"""`wharf audit` while no controller runs."""

import json

from tests.support import process


def test_it_works_while_no_controller_does(site: process.Site) -> None:
    controller = site.run().ready()
    site.spec("dave")
    controller.runs("dave")
    controller.process.terminate()
    assert controller.process.wait(timeout=process.DEADLINE) == 0
    done = site.wharf("audit", "-o", "json")
    assert done.code == 0, done
    found = json.loads(done.out)
    assert found["violations"] == []
    assert {one["id"] for one in found["invariants"] if one["result"] == "holds"} >= {"S1", "S7", "S8", "S13"}
