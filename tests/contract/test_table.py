"""The contract stays as wide as it is: checks are counted, and the rows that matter most have one."""

from tests.contract import table

WANTED = {"AP1", "AP2", "AP3", "AP4", "AP5", "AP6", "AP8", "AP10", "AP13", "AP15", "AP16", "AP17", "AP18"}
WANTED |= {"EV1", "EV2", "EV5", "EV7", "EV8", "EV10", "EV11", "RS1", "RS2", "RS3", "RS4"}
WANTED |= {"AP21", "GP1", "GP7", "GP8"}
LEAST = 140


def test_the_contract_has_at_least_so_many_checks_and_its_rows() -> None:
    rows = table.rows()
    assert len({(file, claim) for _, file, claim in rows}) >= LEAST
    assert {row for row, _, _ in rows} >= WANTED
