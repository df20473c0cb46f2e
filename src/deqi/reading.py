"""Reads one YAML or JSON file that a user wrote, and refuses anything that is not plainly that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import yaml

from deqi.errors import InputError

LARGEST_BYTES = 2_000_000
DEEPEST = 40
_SCALARS = {"bool", "int", "float", "null"}
LARGEST_RECORD_BYTES = 64_000_000
"""A clinic's whole record of one person."""
VALID = "YAML or JSON that can be read"
ACCEPTED = "a YAML or JSON file of at most {megabytes:g} MB, in UTF-8"


class _Repeated(ValueError):
    """A key that stands twice in one mapping."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # a base chosen at run time
    """Plain YAML: only text, numbers, true and false, and nothing; a key stands once in a mapping."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in pairs if tag.rpartition(":")[2] in _SCALARS]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _Repeated(key.value)
                seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def read_mapping(path: str | Path, largest_bytes: int = LARGEST_BYTES) -> object:
    """Read a file that a user wrote.

    Arguments:
        path: a `.json` file is read as JSON, any other as YAML.
        largest_bytes: a larger file is refused.

    Returns:
        What stands in the file: as a rule a mapping or a list, of plain Python values.

    Raises:
        InputError: no such file, too large, empty, binary, not YAML or JSON, a repeated key,
            an anchor, alias or tag, or nesting deeper than 40 levels.
    """
    file = str(path)
    text = _text(Path(path), file, largest_bytes)
    return parse_mapping(text, file=file, json_text=Path(path).suffix.lower() == ".json")


def parse_mapping(text: str, *, file: str | None = None, json_text: bool = False) -> object:
    """Read YAML or JSON that is already text, under the same rules as `read_mapping`.

    Arguments:
        text: what to read.
        file: the name to put into an error.
        json_text: True for JSON, False for YAML.

    Raises:
        InputError: as `read_mapping`.
    """
    try:
        return _json(text) if json_text else _yaml(text, file)
    except _Repeated as error:
        raise InputError("the same key stands twice", file=file, found=str(error),
                         accepted="each key once in its mapping") from None
    except RecursionError:
        raise _too_deep(file) from None
    except yaml.MarkedYAMLError as error:
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"not valid YAML{line}: {error.problem or error.context}", file=file,
                         accepted=VALID) from None
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        kind = "JSON" if json_text else "YAML"
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise InputError(f"not valid {kind}: {reason}", file=file, accepted=VALID) from None


def _text(path: Path, file: str, largest: int) -> str:
    accepted = ACCEPTED.format(megabytes=largest / 1e6)
    try:
        if not path.exists():
            raise InputError("no such file", file=file, accepted=accepted)
        if not path.is_file():
            raise InputError("not a regular file", file=file, accepted=accepted)
        size = path.stat().st_size
        if size > largest:
            raise InputError("the file is too large", file=file, found=f"{size} bytes", accepted=accepted)
        with path.open("rb") as stream:
            raw = stream.read(largest + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"the file cannot be read: {reason}", file=file, accepted=accepted) from None
    if len(raw) > largest:
        raise InputError("the file is too large", file=file, accepted=accepted)
    if not raw.strip():
        raise InputError("the file is empty", file=file, accepted=accepted)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InputError("a binary file, not text", file=file, accepted=accepted)
    return text


def _json(text: str) -> object:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for key, value in pairs:
            if key in mapping:
                raise _Repeated(key)
            mapping[key] = value
        return mapping

    return json.loads(text, object_pairs_hook=once)


def _yaml(text: str, file: str | None) -> object:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent) or anchor:
            raise InputError("an anchor or alias", file=file, found=anchor,
                             accepted="every value written out where it belongs")
        if tag:
            raise InputError("a YAML tag", file=file, found=tag, accepted="plain values without tags")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise _too_deep(file)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return yaml.load(text, Loader=_Loader)


def _too_deep(file: str | None) -> InputError:
    return InputError("nested too deeply", file=file, accepted=f"at most {DEEPEST} levels")
