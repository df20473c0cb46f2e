"""What a fact is, and how the records of a fact file become facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Use = Literal["calibrate", "validate", "context"]

# Where a file's place decides what its facts may be used for, before anything a record says of itself.
USE_BY_PLACE: dict[str, Use] = {
    "trials/": "calibrate",
    "context/": "context",
    "pooled/": "validate",
    "meta_chronic": "validate",
}


@dataclass(frozen=True)
class Fact:
    """One record of the evidence; equal to another when it is the same record.

    Attributes:
        id: the record's id, unique in its file.
        file: its file without the suffix, relative to `facts/` (`science/mechanism_gate`).
        section: the heading it stands under in the file; empty when the file is one record.
        use: `calibrate`, `validate`, `context`, or None for rules, harms, instruments and computed values.
        source: where it was read (doi, pmid, url, cite, seen_at ...); or how it was `computed`.
        body: the whole record as it stands in the file. Shared by all callers: copy it before changing it.
    """

    id: str
    file: str
    section: str
    use: Use | None
    source: dict[str, Any] = field(compare=False, repr=False)
    body: dict[str, Any] = field(compare=False, repr=False)

    @property
    def key(self) -> str:
        """The id with its file (`variability:gerac2007_cpgs_pain_sd`): unique in the whole room."""
        return f"{self.file}:{self.id}"

    @property
    def value(self) -> Any:
        """The measured value or effect as the file gives it; None where there is none (a trial, a rule)."""
        names = ("value", "values", "effect", "estimate")
        return next((self.body[name] for name in names if name in self.body), None)

    def citation(self) -> str:
        """The source in one printable line."""
        return "; ".join(_cite(source) for source in self.source.get("sources", [self.source]))


def facts_in(file: str, document: Mapping[str, Any]) -> Iterator[Fact]:
    """The facts of one parsed file.

    A file with an id of its own is one fact (a trial). Elsewhere every record with an id is a fact, and so is
    every section that is one record with a source (a meta-analysis), under the section's name.

    Arguments:
        file: the file's name relative to `facts/`, without the suffix.
        document: the parsed file.
    Returns: the facts, in the file's order.
    """
    keys = document.get("sources_key", {})
    if "id" in document:
        yield _fact(document["id"], file, "", document, keys)
        return
    for section, content in document.items():
        if isinstance(content, list):
            for record in content:
                if isinstance(record, dict) and "id" in record:
                    yield _fact(record["id"], file, section, record, keys)
        elif isinstance(content, dict) and _source(content, keys):
            yield _fact(section, file, section, content, keys)


def _fact(id: str, file: str, section: str, record: Mapping[str, Any], keys: Mapping[str, Any]) -> Fact:
    return Fact(id, file, section, _use(file, record), _source(record, keys), dict(record))


def _use(file: str, record: Mapping[str, Any]) -> Use | None:
    for place, use in USE_BY_PLACE.items():
        if file.startswith(place):
            return use
    own = record.get("use")
    return own if own in ("calibrate", "validate") else None


def _source(record: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    names = ("source", "citation", "accuracy_source")
    stated = next((record[name] for name in names if record.get(name)), None)
    if isinstance(stated, list):
        return {"sources": [keys[name] for name in stated]}
    if stated is None:
        computed = record.get("how") or record.get("status")
        return {"computed": computed} if computed else {}
    return stated | {"seen_at": record["seen_at"]} if record.get("seen_at") else dict(stated)


def _cite(source: Mapping[str, Any]) -> str:
    if "computed" in source:
        return f"computed: {source['computed']}"
    named = [str(source[name]) for name in ("authors", "year", "journal") if source.get(name)]
    who = source.get("cite") or ", ".join(named) or source.get("note")
    for name, label in (("doi", "doi "), ("pmid", "PMID "), ("pmcid", "")):
        if source.get(name):
            where = f"{label}{source[name]}"
            break
    else:
        where = (source.get("url") or source.get("seen_at", [""])[0]).split(" ; ")[0]
    return ", ".join(part for part in (who, where) if part)
