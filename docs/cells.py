"""Cells and rows of the manual's tables, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deqi import evidence


def grid(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table with its head."""
    lines = [list(columns), *([plain(str(cell)) for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """A cell that breaks no table."""
    return (text if "`" in text else text.replace("|", "\\|")).replace("\n", " ")


def source(id: str) -> str:
    """A source: a fact of the evidence, or a word such as `assumed`."""
    return f"[[{id}]]" if evidence.exists(id) else id
