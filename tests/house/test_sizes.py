"""Files and functions stay small enough to be read at once. Source: notes/style.md 3.3."""

from __future__ import annotations

import ast

import pytest

from tests.house.source import ROOT, modules, named

FILE_LINES = 400
FUNCTION_LINES = 40


def long_files(lines_of: dict[str, int]) -> list[str]:
    return [f"{name} has {lines} lines" for name, lines in lines_of.items() if lines > FILE_LINES]


def long_functions(text: str) -> list[str]:
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    return [f"{name} has {lines} lines" for name, lines in lengths.items() if lines > FUNCTION_LINES]


def test_no_file_is_longer_than_the_limit() -> None:
    assert long_files({named(path): len(path.read_text().splitlines()) for path in modules()}) == []


@pytest.mark.parametrize(
    "folder", ["contracts", "eventkit", "services", "liaison", "deploy", "bench", "clients", "tests"]
)
def test_no_function_is_longer_than_the_limit(folder: str) -> None:
    own = [path for path in modules() if path.relative_to(ROOT).parts[0] == folder]
    assert own
    assert [f"{named(path)}: {line}" for path in own for line in long_functions(path.read_text())] == []


def test_too_long_is_seen() -> None:
    assert long_files({"a.py": FILE_LINES, "b.py": FILE_LINES + 1}) == ["b.py has 401 lines"]
    assert long_functions("def short():\n" + "    x\n" * 39) == []
    assert long_functions("async def long():\n" + "    x\n" * 40) == ["long has 41 lines"]
