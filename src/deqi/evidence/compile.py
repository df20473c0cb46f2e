"""Turns the YAML fact files into the one file that ships and loads fast: `python -m deqi.evidence.compile`.

YAML takes some 200 ms to parse, the compiled JSON 7 ms. It holds one fact file a line, so that a changed fact
is a changed line, and the SHA-256 of the YAML it was made from, so that a test can tell when it is stale.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from deqi.errors import InputError
from deqi.evidence._fact import facts_in
from deqi.evidence._shelves import COMPILED

FACTS = Path(__file__).with_name("facts")


def compile_facts(folder: Path = FACTS, target: Path = COMPILED) -> str:
    """Write the compiled form of a folder of fact files.

    Arguments:
        folder: holds the YAML files.
        target: the JSON file to write; it is replaced as a whole or not at all.
    Returns: the stamp written into it.
    Raises: InputError naming the file that is not YAML, holds what JSON cannot carry (a date, a key that is
        not text), or uses an id twice.
    """
    stamp = source_hash(folder)
    lines = ",\n".join(f"{json.dumps(name)}:{_as_json(name, path)}" for name, path in _files(folder))
    unfinished = target.with_suffix(".part")
    unfinished.write_text(f'{{"sha256":"{stamp}","documents":{{\n{lines}\n}}}}\n', encoding="utf-8")
    unfinished.replace(target)
    return stamp


def source_hash(folder: Path = FACTS) -> str:
    """The SHA-256 over the names and contents of all YAML files in a folder."""
    digest = hashlib.sha256()
    for name, path in _files(folder):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    named = ((path.relative_to(folder).with_suffix("").as_posix(), path) for path in folder.rglob("*.yaml"))
    return iter(sorted(named))


def _as_json(name: str, path: Path) -> str:
    file = f"{name}.yaml"
    try:
        document = yaml.load(path.read_bytes(), yaml.CSafeLoader)
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise InputError("cannot be compiled: " + " ".join(str(error).split()), file=file) from error
    if json.loads(text) != document:
        raise InputError("holds a key that is not text", file=file, accepted="quoted keys")
    ids = [fact.id for fact in facts_in(name, document)]
    if twice := sorted({id for id in ids if ids.count(id) > 1}):
        raise InputError("uses an id twice", file=file, found=", ".join(twice), accepted="each id once")
    return text


if __name__ == "__main__":
    print(f"{COMPILED.name}: {compile_facts()}")
