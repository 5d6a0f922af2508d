"""Every row of the table of resolutions, and the page that it makes."""

import pytest

from tests.policies import page, table

ROWS = list(table.rows())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.file.stem}-{row.number}")
def test_what_comes_of_it_is_as_written(row: table.Row, update_golden: bool) -> None:
    outcome = row.outcome()
    if update_golden:
        page.write(row.file, {row.number: outcome})
        return
    assert {part: row.written[part] for part in table.PARTS if part in row.written} == outcome


def test_there_are_enough_rows() -> None:
    assert len(ROWS) >= 60
    assert len({(row.file, row.written["says"]) for row in ROWS}) == len(ROWS), "each row says something else"


def test_the_page_is_current() -> None:
    assert (table.ROOT / page.PAGE).read_text(encoding="utf-8") == page.render()
