"""The limits that a reader of controller/ can rely on; imports, lint and types are `make check`'s."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTROLLER = ROOT / "controller"
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 40


def modules() -> list[Path]:
    return sorted(path for path in CONTROLLER.rglob("*.py"))


def long_functions(tree: ast.Module) -> list[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [
        f"{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in functions
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > LINES_OF_A_FUNCTION
    ]


def test_there_are_modules_to_look_at() -> None:
    assert len(modules()) > 10


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_says_what_it_knows(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= LINES_OF_A_MODULE
    assert long_functions(tree) == []
    assert ast.get_docstring(tree), "the module's docstring says what it knows and what it refuses to do"


def test_a_long_function_is_found() -> None:
    body = "\n".join(["def long() -> None:", *["    pass"] * LINES_OF_A_FUNCTION])
    assert long_functions(ast.parse(body)) == ["long has 41 lines"]
    assert long_functions(ast.parse(body.replace("    pass\n", "", 1))) == []
