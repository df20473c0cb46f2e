"""Opens what a clinic sends: the resources of a Bundle, each checked where it is read, and the days they speak of."""

from __future__ import annotations

import calendar
import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from deqi.errors import InputError
from deqi.interop.fhir_codes import table

DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T.+)?)?)?", re.ASCII)


@dataclass(frozen=True)
class Moment:
    """A day, or a month or year of which the day is not known; with the clock time if there is one."""

    first: datetime.date
    last: datetime.date
    instant: datetime.datetime | None = None

    @property
    def is_day(self) -> bool:
        """Whether the day is known."""
        return self.first == self.last

    def is_after(self, other: Moment) -> bool:
        """Whether it lies after another for certain, by the clock if both have a time."""
        if self.instant is not None and other.instant is not None:
            return self.instant > other.instant
        return self.first > other.last


@dataclass(frozen=True)
class Resource:
    """One resource of a Bundle.

    Attributes:
        kind: its `resourceType`.
        place: where it stands in the file, such as `entry[3].resource`.
        url: its `fullUrl`, or an empty text.
        content: as sent.
    """

    kind: str
    place: str
    url: str
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What to call it in a report."""
        id = self.content.get("id")
        return f"{self.place} {self.kind}" + (f"/{id}"[:65] if isinstance(id, str) and id.isprintable() else "")

    def refused(self, message: str, path: str, *, found: object = None, accepted: str) -> InputError:
        """The error that names this resource and a path in it."""
        return InputError(message, field=f"{self.name}: {path}", found=found, accepted=accepted)


@dataclass(frozen=True)
class Opened:
    """A Bundle, or a resource that came alone.

    Attributes:
        date: what the file says of its own date, or None.
        resources: in the file's order.
        rest: entries without a resource, by their place and why they say nothing.
    """

    date: Moment | None
    resources: tuple[Resource, ...]
    rest: tuple[tuple[str, str], ...] = field(default=())

    def find(self, reference: str, near: Resource | None = None) -> Resource | None:
        """The resource that a reference points to, in the Bundle or contained in the one that refers to it."""
        if reference.startswith("#") and near is not None:
            return next((Resource(str(each.get("resourceType")), f"{near.place}.contained[{n}]", "", each)
                         for n, each in enumerate(_list(near.content, "contained", near.place))
                         if isinstance(each, Mapping) and each.get("id") == reference[1:]), None)
        return next((each for each in self.resources
                     if each.url == reference or reference.split("/_history")[0].endswith(
                         f"{each.kind}/{each.content.get('id')}")), None)


def day_of(text: str | None) -> datetime.date | None:
    """A day that a person typed; None for none.

    Raises:
        InputError: no such day.
    """
    try:
        return None if text is None else datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise InputError("no such day", field="--date", found=text, accepted="a date such as 2026-11-26") from None


def opened(document: object) -> Opened:
    """Take a file apart.

    Arguments:
        document: a Bundle or a single resource, as parsed.

    Raises:
        InputError: it is neither; a bundle of a type that holds more than one state of things; an entry that is none.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("resourceType"), str):
        raise InputError("not a FHIR resource", field="resourceType",
                         found=document.get("resourceType") if isinstance(document, Mapping) else None,
                         accepted="a Bundle or a single resource of FHIR R4, as JSON")
    kind = document["resourceType"]
    if kind != "Bundle":
        alone = Resource(kind, "the file", "", document)
        authored = checked(alone).get("authored") if kind == "QuestionnaireResponse" else None
        return Opened(None if authored is None else moment(authored, alone, "authored"), (alone,))
    if document.get("type") not in table()["bundles"]:
        raise InputError("a bundle of this type may hold several states of one thing", field="Bundle.type",
                         found=document.get("type"), accepted=", ".join(table()["bundles"]))
    bundle = Resource("Bundle", "Bundle", "", {})
    stamp = document.get("timestamp")
    date = None if stamp is None else moment(stamp, bundle, "timestamp")
    found, rest = [], []
    for number, entry in enumerate(_list(document, "entry", "Bundle")):
        place = f"entry[{number}]"
        if not isinstance(entry, Mapping):
            raise InputError("not an entry", field=place, found=entry, accepted="a mapping with a resource")
        content, url = entry.get("resource"), entry.get("fullUrl", "")
        if content is None:
            rest.append((place, "no resource in it"))
            continue
        if not isinstance(content, Mapping) or not isinstance(content.get("resourceType"), str):
            raise InputError("not a resource", field=f"{place}.resource", accepted="a mapping with a resourceType")
        if not isinstance(url, str):
            raise InputError("not an address", field=f"{place}.fullUrl", found=url, accepted="a text")
        found.append(Resource(content["resourceType"], place, url, content))
    return Opened(date, tuple(found), tuple(rest))


def checked(resource: Resource) -> dict[str, Any]:
    """The content of a resource in the form of the standard, numbers as numbers and nothing empty.

    The check is that of `fhir.resources.R4B`, where the resources that deqi reads have the same elements as in R4. What
    is contained in a resource is checked where it is read.

    Raises:
        InputError: it is no valid resource; the first fault is named, with its path.
    """
    from fhir.resources.R4B import get_fhir_model_class

    own = {key: value for key, value in resource.content.items() if key not in ("contained", "text")}
    try:
        model = get_fhir_model_class(resource.kind).model_validate(own)
        content: dict[str, Any] = json.loads(model.model_dump_json(exclude_none=True))
    except ValidationError as error:
        raise _fault(resource, error) from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise resource.refused("not valid FHIR R4", type(error).__name__, accepted="a resource of the standard"
                               ) from None
    return content


def moment(given: object, resource: Resource, path: str) -> Moment:
    """Read a date or dateTime, of which only the year or the month may be known.

    Raises:
        InputError: it is none.
    """
    accepted = "a date such as 2026, 2026-11 or 2026-11-26, or a time such as 2026-11-26T09:30:00Z"
    found = DATE.fullmatch(given) if isinstance(given, str) else None
    try:
        if found is None:
            raise ValueError
        year, month, day = int(found[1]), found[2] and int(found[2]), found[3] and int(found[3])
        first = datetime.date(year, month or 1, day or 1)
        last = datetime.date(year, month or 12, day or calendar.monthrange(year, month or 12)[1])
        instant = datetime.datetime.fromisoformat(given) if found[4] and isinstance(given, str) else None
        if year < 1900:
            raise ValueError
    except (ValueError, OverflowError):
        raise resource.refused("no such day", path, found=given, accepted=accepted) from None
    if instant is not None and instant.tzinfo is None:
        instant = instant.replace(tzinfo=datetime.UTC)
    return Moment(first, last, instant)


def subject_of(content: Mapping[str, Any]) -> str | None:
    """Whom a resource is about: its reference, or None if it has none."""
    reference = (content.get("subject") or {}).get("reference")
    return reference if isinstance(reference, str) else None


def _list(content: Mapping[str, Any], key: str, place: str) -> Iterator[Any]:
    given = content.get(key) or []
    if not isinstance(given, list):
        raise InputError("not a list", field=f"{place}.{key}", found=given, accepted="a list")
    yield from given


def _fault(resource: Resource, error: ValidationError) -> InputError:
    try:
        first = error.errors(include_url=False)[0]
    except UnicodeEncodeError:
        return resource.refused("text with broken characters", "text", accepted="text in UTF-8")
    path = ".".join(str(part) for part in first["loc"] if part != "root") or "the resource"
    found = first["input"] if isinstance(first["input"], str | int | float) else None
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    problem = " ".join(first["msg"].removeprefix("Value error, ").split())[:150]  # a pattern may hold a line's end
    return resource.refused(f"not valid FHIR R4: {problem}{more}",
                            path.encode("unicode_escape").decode("ascii")[:120], found=found,
                            accepted="a resource of the standard")
