"""The notebooks run from beginning to end, and what is stored in them is fit to be read by others."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / "docs" / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
AT_ONCE = {"start"}
"""What `make test` runs too; the others wait for `make check`."""
ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:home|media|mnt|opt|private|root|srv|tmp|usr|Users|var|work)/\S*|\b[A-Z]:\\\S*")
"""Paths of the machine that a notebook was run on."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in AT_ONCE else pytest.mark.slow)
                                  for name in NOTEBOOKS])
def test_it_runs(name, tmp_path):
    shutil.copytree(FOLDER, tmp_path / "docs" / "notebooks")
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    before = {path for path in tmp_path.rglob("*")}
    content = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    client = NotebookClient(content, kernel_name="python3", timeout=120,
                            resources={"metadata": {"path": str(tmp_path / "docs" / "notebooks")}})
    client.execute()  # raises what a cell raises
    assert not _troubles(content)
    assert {path for path in tmp_path.rglob("*")} == before, "a notebook leaves nothing behind"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_is_stored_is_whole_small_and_nobodys(name):
    file = FOLDER / f"{name}.ipynb"
    content = nbformat.read(file, as_version=4)
    nbformat.validate(content)
    assert not ABSOLUTE.findall(file.read_text(encoding="utf-8"))
    assert file.stat().st_size < 200_000
    assert not _troubles(content)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run from the top, once"
    for cell in code:
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            assert len(cell.metadata.get("alt", "")) > 40, "a figure is described for those who do not see it"
        assert "execution" not in cell.metadata, "no times of running"


def _troubles(content: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Errors and warnings among the outputs."""
    return [output for cell in content.cells for output in cell.get("outputs", ())
            if output.output_type == "error" or output.get("name") == "stderr"]
