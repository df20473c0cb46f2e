"""Shows the notebooks as pages of the manual, with the outputs that are stored in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter


def on_files(files: Files, *, config: Any, **_: Any) -> Files:
    """Add a page and its figures for each notebook; the notebook itself stays, to be downloaded."""
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        place, name = notebook.src_uri.removesuffix(".ipynb"), notebook.name
        content = nbformat.read(notebook.abs_src_path, as_version=4)
        text, made = MarkdownExporter().from_notebook_node(content, {"output_files_dir": f"{name}_files"})
        for figure, data in made["outputs"].items():
            files.append(File.generated(config, f"{place.removesuffix(name)}{figure}", content=data))
        files.append(File.generated(config, f"{place}.md", content=_page(text, content, name)))
    return files


def _page(text: str, content: nbformat.NotebookNode, name: str) -> str:
    figures = _descriptions(content)
    text = re.sub(r"!\[png\]", lambda _: f"![{next(figures)}]", text)
    text = re.sub(r"<style scoped>.*?</style>\n?", "", text, flags=re.S)  # tables look like those of other pages
    text = text.replace('<table border="1" class="dataframe">', "<table>")
    return f"{text}\n\n[Download this notebook]({name}.ipynb){{ download }}\n"


def _descriptions(content: nbformat.NotebookNode) -> Iterator[str]:
    """What each figure shows, for those who do not see it: `alt` in the metadata of its cell."""
    for cell in content.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                yield cell.metadata["alt"]
