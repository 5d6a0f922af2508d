"""Knows the fenced examples of a page: how to play them on a stage, and how to record what was said.

It refuses to take a difference of numbers, ids, ages and widths of columns for a difference.
`python -m deploy.dev.transcript PAGE...` plays pages on a private Engine and writes what was said into them.
"""

import argparse
import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.dev import api, engine, host, image, simulated, stage, workbench

FENCE = re.compile(r"^```(?P<info>[^`\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"\A# (?P<name>[a-z0-9-]+\.yaml)\n")
LOOKS = re.compile(r"(wharf (get|plan|describe|validate)|curl|docker (inspect|ps)|grep|cat|ls) ")
PATIENCE = 20.0
WITH_GPUS = {"tutorial-gpus.md"}
"""Names of the pages that are played with simulated GPUs."""


@dataclass(frozen=True)
class Block:
    """One fenced example: its language and further words, its text, the line of its first line."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int


@dataclass(frozen=True)
class Exchange:
    """A line that is typed, and what is said to it."""

    command: str
    output: str


def blocks(page: str) -> Iterator[Block]:
    """Yields every fenced example of a page."""
    for found in FENCE.finditer(page):
        language, *words = found["info"].split() or [""]
        yield Block(language, tuple(words), found["text"], page.count("\n", 0, found.start("text")) + 1)


def exchanges(text: str) -> list[Exchange]:
    """The lines of a console: each that begins with `$ ` is typed, what follows is said."""
    found: list[Exchange] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Exchange(line[2:], ""))
        elif found:
            found[-1] = replace(found[-1], output=f"{found[-1].output}{line}\n")
        else:
            raise ValueError(f"a console begins with a typed line, not with {line!r}")
    return found


def essence(output: str) -> str:
    """What must be the same each time: without numbers, ids, ages, and widths of columns."""
    text = re.sub(r"\b[0-9a-f]{8,64}\b", "ID", output)
    text = re.sub(r"\b(\d+[dhms])+\b", "AGE", text)
    text = re.sub(r"\d+", "N", text)
    return "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()


class Player:
    """Plays the examples of one page, in order."""

    def __init__(self, scene: stage.Stage) -> None:
        self.scene = scene

    def write(self, block: Block) -> None:
        """Writes a YAML example that begins with its file's name; others are left."""
        name = FILE_NAME.match(block.text)
        if block.language == "yaml" and name is not None:
            (self.scene.root / name["name"]).write_text(block.text, encoding="utf-8")

    def answer(self, exchange: Exchange) -> str:
        """What is said to a line now; one that only looks is repeated for a while until it is as recorded."""
        said = self._say(exchange.command)
        wanted = essence(exchange.output)

        def as_recorded() -> bool:
            nonlocal said
            if essence(said) == wanted:
                return True
            said = self._say(exchange.command)
            return False

        if LOOKS.match(exchange.command):
            host.wait_until(as_recorded, PATIENCE, interval=0.3)
        return said

    def _say(self, command: str) -> str:
        typed = self.scene.type(command)
        return typed.out + ("" if command.startswith("docker ") else typed.err)


def record(page: str, player: Player) -> str:
    """The page with its consoles as they are now."""

    def anew(found: re.Match[str]) -> str:
        (block,) = blocks(found[0])
        player.write(block)
        if block.language == "sh" and not block.words:
            player.scene.type(block.text)
        if block.language != "console":
            return found[0]
        said = [f"$ {one.command}\n{player.answer(one)}" for one in exchanges(block.text)]
        return f"```console\n{''.join(said)}```"

    return FENCE.sub(anew, page)


@contextlib.contextmanager
def _scene(*, gpus: bool) -> Iterator[stage.Stage]:
    """A stage on an Engine; one that was started for it ends with it."""
    base = workbench.ROOT / ".dev" / "transcript"
    private: engine.PrivateEngine | None
    if gpus:
        private = engine.PrivateEngine(base / "gpus")
        address = simulated.engine(private.directory).base_url
    else:
        address, private = workbench.choose_engine("", base)
    subnet = None if private is None else str(host.free_subnet(host.digest(base)))
    try:
        image.load_missing(api.Api(address))
        with stage.Stage(base / "stage", address, subnet, gpus=gpus) as scene:
            yield scene
    finally:
        if private is not None:
            private.down(purge=True)


def main() -> int:
    """Records the pages that are named."""
    parser = argparse.ArgumentParser(prog="transcript", description="Record the consoles of pages.")
    parser.add_argument("pages", nargs="+", type=Path)
    for path in parser.parse_args().pages:
        page = path.read_text(encoding="utf-8")
        with _scene(gpus=path.name in WITH_GPUS) as scene:
            path.write_text(record(page, Player(scene)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
