"""Every word that a person sees in the browser: one catalogue a language, from the YAML files of its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import DeqiError
from ..tables import shipped

LANGUAGE = "en"
"""The language that every text exists in."""

FOLDER = Path(__file__).with_name("texts")


class MissingText(DeqiError):
    """A text that the catalogue does not hold; told by its path."""


class Words(Mapping[str, Any]):
    """A branch of the catalogue; `t.plan.title` in a template, `t["plan"]["title"]` in code."""

    def __init__(self, path: str, rows: Mapping[str, Any]):
        self._path = path
        self._rows = {str(key): _branch(f"{path}.{key}", value) for key, value in rows.items()}

    def __getitem__(self, key: str) -> Any:
        try:
            return self._rows[key]
        except KeyError:
            raise MissingText(f"the catalogue has no text {self._path}.{key}") from None

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            raise AttributeError(key)
        return self[key]

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def languages() -> list[str]:
    """Return the languages that texts exist in, the first and complete one ahead."""
    others = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir() and folder.name != LANGUAGE)
    return [LANGUAGE, *others]


@cache
def texts(language: str = LANGUAGE) -> Words:
    """Return the catalogue of a language: a branch for each file of `texts/<language>`.

    Arguments:
        language: one of `languages()`.

    Raises:
        DeqiError: a key that hides a method of a mapping, such as `items`.
    """
    return Words("texts", {file.stem: shipped(file) for file in sorted((FOLDER / language).glob("*.yaml"))})


def _branch(path: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        if hidden := {"get", "items", "keys", "values"} & {str(key) for key in value}:
            raise DeqiError(f"{path}: {hidden.pop()} cannot be the key of a text")
        return Words(path, value)
    if isinstance(value, list):
        return tuple(_branch(f"{path}.{k}", item) for k, item in enumerate(value))
    return value
