"""The trial on one page, and in words: what was asked, who takes part, what it would find, how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from .. import evidence
from ..consult.forecast import MINIMAL_IMPORTANT_CHANGE
from ..consult.wording import number, texts
from ..writing import write_text
from . import figures

METHODS = {"ancova": "ANCOVA", "ttest": "t test on change", "responders": "difference of responders",
           "mixed": "mixed model"}
SCALES = {"pain": "Pain, numeric scale 0 to 10", "disability": "Disability, 0 to 100"}
BOUNDED = {"pain": "pain (0 to 10)", "duration_weeks": "duration in weeks", "disability": "disability (0 to 100)"}
IMPORTANT = {"pain": MINIMAL_IMPORTANT_CHANGE["NRS"], "disability": MINIMAL_IMPORTANT_CHANGE["ODI"]}
SURE = 3.0
"""Monte Carlo standard errors of the promised coverage from which a coverage counts as off."""
Result = Mapping[str, Any]


def write(result: Result, path: str | Path) -> None:
    """Write the report as one self-contained HTML file, whole or not at all."""
    write_text(path, page(result))


def page(result: Result) -> str:
    """The report as HTML.

    Arguments:
        result: as `deqi trial --json` writes it.
    """
    design, power = result["design"], result["power"]
    primary = power["primary"]
    named = [row["contrast"] for row in power["n_for_80"]]
    curves = {name: [row for row in power["curve"] if row["contrast"] == name] for name in named}
    return _template("report.html.j2").render(
        d=design, sizes=sorted(design["n"]), words=in_words(result),
        small=evidence.fact("pooled_li2020_mbma").citation(), beyond=_beyond_sham(),
        asked_theories=design.get("theories"), asked=list(asked(design)), flow=result["flow"], primary=primary,
        bounded=BOUNDED, scales=SCALES, methods=METHODS, courses=_courses(result), forests=_forests(result),
        important_source=next(row["cite"] for row in texts()["sources"] if row["id"] == "ostelo2008"),
        powers=[{"contrast": name, "plot": figures.power(rows, power["n_for_80"][0]["wanted"], f"power-{k}",
                                                         primary["method"] == "ttest")}
                for k, (name, rows) in enumerate(curves.items())],
        textbook=primary["method"] == "ttest", curve=power["curve"], theories=result["theories"],
        estimates=result["estimates"], made=result["provenance"])


def in_words(result: Result, brief: bool = False) -> list[str]:
    """What the trial would find, a line for each contrast, for its intervals and for its two theories.

    Arguments:
        result: as `deqi trial --json` writes it.
        brief: for use under a table of power: says of each contrast only how many people would be enough.
    """
    power = result["power"]
    primary = power["primary"]
    main = [row for row in result["estimates"]
            if all(row[key] == primary[key] for key in ("outcome", "week", "method"))]
    contrasts = [row | {"truth": _points(row), "enough": _enough(enough, result["design"]["n"])}
                 for row, enough in zip(main, power["n_for_80"], strict=True)]
    said = _template("words.txt.j2").render(
        contrasts=contrasts, brief=brief, primary=primary, methods=METHODS, coverage=_coverage(main),
        theories=result["theories"], asked_theories=result["design"].get("theories"))
    return [line for line in said.splitlines() if line.strip()]


def asked(design: Result) -> Iterator[str]:
    """The rest of the design in words."""
    source, mean = design["population"]["phase"], design["population"].get("pain_mean")
    yield f"Drawn from people with {source} low back pain" + (f", mean pain {number(mean)}." if mean else ".")
    bounds = [f"{BOUNDED[name]} at {word} {number(limits[word])}"
              for name, limits in design["eligibility"].items() for word in ("least", "most")
              if limits.get(word) is not None]
    yield f"Let in: {', '.join(bounds)}." if bounds else "Everybody is let in."
    come = "on a bad week" if design["recruitment"]["bad_week"] else "at their usual level"
    yield f"They come {come}; {number(100 * design['recruitment']['consent'])} of 100 consent."
    if design["blinding"]["found_out"]:
        yield (f"Of 100 on a sham or placebo, {number(100 * design['blinding']['found_out'])} find out; the "
               "difference holds their disappointment too.")
    if design.get("expectation"):
        yield (f"Expectation of help {number(design['expectation']['mean'])} of 10 on average "
               f"(SD {number(design['expectation']['sd'])}).")
    if design.get("attrition"):
        lost = design["attrition"]
        yield (f"Lost each week: {number(100 * lost['per_week'], 2)} of 100 at the baseline's pain; odds times "
               f"{number(lost['odds_per_point'], 2)} for each point of pain above it.")
    answer = design["analysis"]["responder"]
    rule = (f"{number(100 * answer['relative'])} % of the baseline" if answer.get("relative")
            else f"{number(answer.get('absolute'))} points")
    yield f"A response is a fall of at least {rule}."


def percent(share: float | None, digits: int = 0) -> str:
    """A share of 1 as a percentage; a dash where it is not known."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _points(row: Result) -> str:
    if row["method"] == "responders":
        return f"{number(100 * row['truth'])} of 100 people"
    return f"{number(row['truth'], 2)} points of {number(figures.TOPS[row['outcome']])}"


def _enough(enough: Result, sizes: Sequence[int]) -> str:
    """How many people are enough; of the smallest size asked only that it is."""
    def people(n: int) -> str:
        return f"at most {n}" if n == min(sizes) else str(n)

    if enough["power"] is None:
        return f"not within the sizes asked (up to {max(sizes)})"
    beside = "none of the sizes asked" if enough["assurance"] is None else people(enough["assurance"])
    return f"{people(enough['power'])} people ({beside} for an assurance of 80 %)"


def _coverage(main: Sequence[Result]) -> dict[str, Any]:
    """Coverage over the contrasts of the primary analysis, each weighing the same; off if one is by three errors."""
    level, trials = main[0]["coverage"]["level"], max(main[0]["trials"]["central"], 1)
    known = [row["coverage"]["value"] for row in main if row["coverage"]["value"] is not None]
    error = math.sqrt(level * (1.0 - level) / trials)
    return {"level": level, "value": sum(known) / len(known) if known else None,
            "off": any(abs(value - level) > SURE * error for value in known)}


def _beyond_sham() -> str | None:
    """Points of 100 that the model's needles take away beyond sham by week 6, with 80 % range, from the calibration."""
    from ..calibrate.validate import shipped

    rows = (shipped() or {}).get("theories", {}).get("benefit", ())
    whole = next((row["week6"] for row in rows if row["theory"] == "all of it"), None)
    if whole is None:
        return None
    low, middle, high = (number(-points) for points in reversed(whole))
    return f"{middle} ({low} to {high})"


def _courses(result: Result) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for k, own in enumerate(result["curves"]):
        others = [row for row in result["curves"] if row["outcome"] == own["outcome"] and row is not own]
        found.setdefault(own["outcome"], []).append(
            {"arm": own["arm"], "plot": figures.course(own, others, f"course-{k}")})
    return found


def _forests(result: Result) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for outcome in result["design"]["outcomes"]:
        rows = [row for row in result["estimates"] if row["outcome"] == outcome and row["method"] == "ancova"]
        for name in dict.fromkeys(row["contrast"] for row in rows):
            plot = figures.estimates([row for row in rows if row["contrast"] == name], IMPORTANT[outcome],
                                     f"estimates-{outcome}-{len(found.get(outcome, ()))}")
            found.setdefault(outcome, []).append({"contrast": name, "plot": plot})
    return found


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(loader=jinja2.PackageLoader("deqi.trial"), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["style"] = Markup(files("deqi.calibrate").joinpath("templates/style.css").read_text("utf-8"))
    environment.filters.update(
        n=number, people=lambda count: number(count, 0 if count >= 10 else 1),
        hundred=lambda share: number(None if share is None else 100 * share, 0),
        percent=percent)
    return environment.get_template(name)
