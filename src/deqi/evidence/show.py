"""How a fact and the whole of the evidence look on a terminal and in JSON (`deqi evidence [ID]`)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml

from deqi.evidence._fact import Fact
from deqi.evidence._shelves import documents, evidence_hash, facts

USES = {
    "calibrate": "may inform a fit",
    "validate": "judges a fit, never enters it",
    "context": "informs the context response only",
    "other": "rules, harms, instruments and computed values: no data for a fit",
}


def describe(fact: Fact) -> str:
    """A fact in plain text: what it is, all it holds, where it was read.

    Returns: lines for a terminal, the body in the order of its file.
    """
    use = fact.use or "other"
    where = f"{fact.file}, {fact.section}" if fact.section not in ("", fact.id) else fact.file
    told = {"id", "source", "citation", "seen_at"}
    told |= {"use"} if fact.use else set()
    told |= {"how", "status"} if "computed" in fact.source else set()
    rest = {name: content for name, content in fact.body.items() if name not in told}
    body = yaml.dump(rest, Dumper=_Layout, sort_keys=False, allow_unicode=True, width=100)
    source = fact.citation()
    lines = [
        f"{fact.id}  ({where})",
        f"use: {use} ({USES[use]})",
        *body.splitlines(),
        f"source: {source}",
        *(f"  {address}" for address in _addresses(fact.source) if address not in source),
    ]
    return "\n".join(lines)


def as_json(fact: Fact) -> dict[str, Any]:
    """A fact as one JSON object: `id, file, section, use, citation, source, body`."""
    return {
        "id": fact.id,
        "file": fact.file,
        "section": fact.section,
        "use": fact.use,
        "citation": fact.citation(),
        "source": fact.source,
        "body": fact.body,
    }


def overview() -> dict[str, Any]:
    """How many facts each file holds, by use.

    Returns: `{evidence_hash, files: [{file, facts, calibrate, validate, context, other}], total: {...}}`.
    """
    rows = [{"file": name} | _counts(facts(name)) for name in documents()]
    return {"evidence_hash": evidence_hash(), "files": rows, "total": _counts(facts())}


def listing() -> str:
    """The overview in plain text, a folder of single-fact files as one line."""
    places = dict.fromkeys(name if len(facts(name)) != 1 else name.split("/")[0] for name in documents())
    columns = ("facts", *USES)
    lines = [f"{'':32}" + "".join(f"{column:>11}" for column in columns)]
    for place, counts in [*((place, _counts(facts(place))) for place in places), ("all", _counts(facts()))]:
        lines.append(f"{place:32}" + "".join(f"{counts[column] or '-':>11}" for column in columns))
    lines += ["", *(f"{use}: {meaning}" for use, meaning in USES.items())]
    return "\n".join(lines)


class _Layout(yaml.SafeDumper):
    """YAML with lists of numbers on one line."""


def _represent_list(layout: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    numbers = bool(items) and all(isinstance(item, int | float) for item in items)
    return layout.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=numbers or None)


_Layout.add_representer(list, _represent_list)


def _counts(chosen: tuple[Fact, ...]) -> dict[str, int]:
    by_use: Counter[str] = Counter(fact.use or "other" for fact in chosen)
    return {"facts": len(chosen)} | {use: by_use[use] for use in USES}


def _addresses(source: dict[str, Any]) -> list[str]:
    parts = source.get("sources", [source])
    listed = [address for part in parts for address in str(part.get("url") or "").split(" ; ") if address]
    return listed + list(source.get("seen_at", []))
