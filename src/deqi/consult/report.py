"""The report of a consultation: one self-contained HTML page that needs no network, script or other file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from deqi.consult import figures
from deqi.consult.letter import letter, practitioner, prescription
from deqi.consult.rules import table
from deqi.consult.wording import care_under_way, duration, inline, number, plain, texts
from deqi.errors import InputError
from deqi.evidence import exists, fact
from deqi.writing import write_text

Result = Mapping[str, Any]


def render(result: Result) -> str:
    """Return the report as one HTML page.

    On an emergency the page says what to do now and nothing else; for a person outside what the evidence
    covers it holds no forecast.

    Arguments:
        result: the consultation, as `deqi consult --json` writes it.

    Raises:
        InputError: a key the page needs is missing.
    """
    told = {source["id"]: source["cite"]
            for source in [*texts()["sources"], *(result.get("evidence") or {}).get("sources", [])]}
    cited: dict[str, int] = {}

    def ref(source: str | None) -> Markup:
        if source is None or not (source in told or exists(source)):
            return Markup(' <span class="source">[{}]</span>').format(source or "assumed")
        place = cited.setdefault(told.get(source) or fact(source).citation(), len(cited) + 1)
        return Markup('<sup><a href="#source-{0}">{0}</a></sup>').format(place)

    with _complete():
        return _page("report.html.j2").render(
            title=texts()["title"], r=result, t=texts(), ref=ref, cited=cited, yardstick=yardstick(result),
            chosen=chosen(result), letter=letter(result), practitioner=practitioner())


def render_letter(result: Result) -> str:
    """Return the letter as one HTML page: a referral where screening asks for a doctor, else a hand-over.

    Arguments:
        result: the consultation, as `deqi consult --json` writes it.

    Raises:
        InputError: a key the letter needs is missing.
    """
    with _complete():
        written = letter(result)
        return _page("letter_page.html.j2").render(title=written["title"], letter=written, t=texts())


def write(result: Result, path: str | Path) -> None:
    """Write the report whole or not at all; a reader never meets half a page.

    Arguments:
        result: the consultation.
        path: where the page goes; an older one is replaced.

    Raises:
        InputError: the result is incomplete, or nothing can be written there.
    """
    write_text(path, render(result))


def yardstick(result: Result) -> Mapping[str, Any] | None:
    """Return the option the others are measured against: no further treatment, if it is among them."""
    return next((option for option in result.get("options") or [] if option["id"] == "nothing"), None)


def chosen(result: Result) -> Mapping[str, Any] | None:
    """Return the option whose doubt is shown: the tailored one, or the last one that can be had."""
    return next((option for option in reversed(result.get("options") or []) if option["available"]), None)


def crowd(benefit: Mapping[str, Any]) -> dict[str, int]:
    """Split 100 people into the marks of the array: better anyway, extra (or fewer), not much better, worse.

    Arguments:
        benefit: `options[].benefit`; counts of 100.

    Returns:
        Counts in the order they are drawn; together 100.
    """
    improved, anyway = (round(benefit["improved_30pct"][key]) for key in ("with", "without"))
    worse = min(round(benefit["worse"]["with"]), 100 - improved)
    fewer = min(max(0, anyway - improved), 100 - improved - worse)
    counts = {"anyway": min(improved, anyway), "extra": max(0, improved - anyway), "fewer": fewer}
    return {**counts, "same": 100 - sum(counts.values()) - worse, "worse": worse}


@contextmanager
def _complete() -> Iterator[None]:
    try:
        yield
    except (jinja2.UndefinedError, KeyError) as error:
        raise InputError("the result is incomplete", found=str(error),
                         accepted="what `deqi consult --json` writes") from error


@cache
def _page(name: str) -> jinja2.Template:
    environment = jinja2.Environment(loader=jinja2.PackageLoader("deqi.consult"), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(
        figures=figures, number=number, duration=duration, plain=plain, crowd=crowd, prescription=prescription,
        care_under_way=care_under_way,
        safety_net=table("red_flags")["safety_net"],
        style=Markup(files(__package__).joinpath("templates/style.css").read_text(encoding="utf-8")))
    environment.filters.update(fill=lambda text, **words: str(text).format(**words), inline=inline)
    return environment.get_template(name)
