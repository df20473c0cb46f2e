"""The page on security names tests that exist, and one state for each requirement."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parent.parent / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines()
        if re.match(r"\| \d+\.\d+\.\d+ \|", line)]


def test_every_requirement_stands_once_with_a_state_and_a_reason() -> None:
    ids = [row[0] for row in ROWS]
    assert len(ids) == len(set(ids)) == 260
    assert ids == sorted(ids, key=lambda text: [int(part) for part in text.split(".")])
    assert {row[2] for row in ROWS} <= {"met", "partly", "not met", "n/a"}
    assert all(len(row) == 4 and row[1] and row[3] for row in ROWS)


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`(test_\w+\.py)::", PAGE))))
def test_every_test_that_is_named_exists(file: str) -> None:
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert set(re.findall(rf"`{file}::(test_\w+)`", PAGE)) <= there
