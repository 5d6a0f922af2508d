"""Every link between pages leads somewhere, and every page is linked."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "changes" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def text_of(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    titles = (found["title"] for found in HEADING.finditer(text_of(page)))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    broken = []
    for found in LINK.finditer(text_of(page)):
        place, _, anchor = found["target"].partition("#")
        if place.startswith(("http:", "https:", "mailto:")):
            continue
        file = (page.parent / place).resolve() if place else page
        if not file.is_file() or (anchor and anchor not in anchors(file)):
            broken.append(found["target"])
    return broken


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = (found["target"].partition("#")[0] for found in LINK.finditer(text_of(page)))
        waiting += [page.parent.joinpath(place).resolve() for place in targets if place.endswith(".md")]
    assert [str(page.relative_to(ROOT)) for page in pages() if page not in reached] == []


def test_a_broken_link_and_a_missing_heading_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](other.md) [b](#one) [c](#two) [d](https://example.org/)\n", encoding="utf-8")
    assert broken_links(page) == ["other.md", "#two"]
