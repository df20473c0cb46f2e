"""Where the facts stand: finds one by its id, several by file and use, a whole file by its name.

Reads `facts.json`, the form that `deqi.evidence.compile` makes of the YAML, once and only when first asked.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, get_args

from deqi.errors import InputError
from deqi.evidence._fact import Fact, Use, facts_in

COMPILED = Path(__file__).with_name("facts.json")
_TRIAL_FOLDERS = ("trials", "context")


def fact(id: str) -> Fact:
    """The fact with this id.

    Arguments:
        id: a fact's id, or `file:id`, which is always accepted and needed where two files use the same id.
    Raises: InputError when no fact has the id (it names the nearest ones) or more than one has.
    """
    found = _by_id().get(id, ())
    if len(found) == 1:
        return found[0]
    if found:
        keys = " or ".join(f.key for f in found)
        raise InputError("more than one fact has this id", found=id, accepted=keys)
    accepted = _nearest(id, _by_id()) or "an id that `deqi evidence` lists"
    raise InputError("there is no fact with this id", found=id, accepted=accepted)


def exists(id: str) -> bool:
    """Whether `fact(id)` would find one fact."""
    return len(_by_id().get(id, ())) == 1


def facts(file: str | None = None, use: Use | None = None) -> tuple[Fact, ...]:
    """All facts, or those of one file or folder and of one use.

    Arguments:
        file: a file (`science/mechanism_gate`) or a folder (`science`); None for every file.
        use: `calibrate`, `validate` or `context`; None for every fact, rules included.
    Returns: the facts in the order of their files.
    Raises: InputError for a file or a use that does not exist.
    """
    if use is not None and use not in get_args(Use):
        raise InputError("there is no such use of a fact", found=use, accepted=" | ".join(get_args(Use)))
    chosen = [name for name in documents() if file in (None, name) or name.startswith(f"{file}/")]
    if not chosen:
        raise _unknown_file(file)
    return tuple(f for name in chosen for f in _by_file()[name] if use in (None, f.use))


def trial(id: str) -> Fact:
    """The trial with this id, from `trials/` or `context/`.

    Raises: InputError when there is none; it names the nearest ones.
    """
    names = {name.split("/")[1]: name for name in documents() if name.split("/")[0] in _TRIAL_FOLDERS}
    if id not in names:
        accepted = _nearest(id, names) or "the name of a file in trials/ or context/"
        raise InputError("there is no trial with this id", found=id, accepted=accepted)
    return fact(f"{names[id]}:{id}")


def trials(use: Use | None = None) -> tuple[Fact, ...]:
    """The trials of low back pain (`calibrate`) and those kept for the context response only (`context`).

    Arguments:
        use: one of the two; None for both.
    """
    return tuple(f for folder in _TRIAL_FOLDERS for f in facts(folder, use))


def document(name: str) -> dict[str, Any]:
    """A whole fact file as parsed: `adverse_events`, `contraindications`, `proms`, `red_flags` ...

    Arguments:
        name: the file relative to `facts/`, without the suffix.
    Returns: the file's content, shared by all callers: copy it before changing it.
    Raises: InputError for a file that does not exist; it names the nearest ones.
    """
    if name not in _read()["documents"]:
        raise _unknown_file(name)
    return _read()["documents"][name]


def documents() -> tuple[str, ...]:
    """The names of all fact files."""
    return tuple(_read()["documents"])


def evidence_hash() -> str:
    """The SHA-256 of the YAML files that the compiled form was made from."""
    return _read()["sha256"]


@cache
def _read() -> dict[str, Any]:
    import json

    return json.loads(COMPILED.read_bytes())


@cache
def _by_file() -> dict[str, tuple[Fact, ...]]:
    return {name: tuple(facts_in(name, document)) for name, document in _read()["documents"].items()}


@cache
def _by_id() -> dict[str, tuple[Fact, ...]]:
    found: dict[str, tuple[Fact, ...]] = {}
    for shelf in _by_file().values():
        for f in shelf:
            found[f.id] = (*found.get(f.id, ()), f)
            found[f.key] = (f,)
    return found


def _unknown_file(name: str | None) -> InputError:
    accepted = _nearest(str(name), documents()) or ", ".join(n for n in documents() if "/" not in n)
    return InputError("there is no fact file with this name", found=name, accepted=accepted)


def _nearest(name: str, names: Any) -> str:
    from difflib import get_close_matches

    return ", ".join(get_close_matches(name, list(names), n=3))
