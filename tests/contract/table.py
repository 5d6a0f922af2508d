"""Knows which row of the fault catalogue each contract check witnesses: `python -m tests.contract.table`.

It refuses to run anything: it reads the marks in the test files.
"""

import ast
from pathlib import Path

HERE = Path(__file__).parent


def rows() -> list[tuple[str, str, str]]:
    """Row, file and claim of every marked check, sorted."""
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                claim = node.name.removeprefix("test_").replace("_", " ")
                found += [(row, path.stem, claim) for row in _marks(node)]
    return sorted(found)


def _marks(node: ast.FunctionDef) -> list[str]:
    return [
        str(ast.literal_eval(mark.args[0]))
        for mark in node.decorator_list
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "row"
    ]


if __name__ == "__main__":
    for row, file, claim in rows():
        print(f"{row:16} {file:28} {claim}")
