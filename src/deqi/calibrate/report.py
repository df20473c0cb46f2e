"""The calibration on one page: what was fitted, how well trials left out are predicted, and what that does not show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from .. import evidence
from ..body.system import ROOMS
from ..writing import write_text
from . import figures
from .figures import Scale, number

MODELS = {"deqi": "deqi", "Hyperbola": "one curve for each kind of care", "MetaRegression": "linear meta-regression"}
DOMAINS = {"pain": "Pain", "disability": "Disability"}
FAMILIES: dict[str, tuple[tuple[str, ...], str, float]] = {
    "levels": (("mean",), "level, 0 to 100", 1.0),
    "changes": (("change",), "change since enrolment, points of 100", 1.0),
    "differences": (("difference",), "difference between two arms, points of 100", 1.0),
    "percent changes": (("percent_change",), "change in % of the level at enrolment", 1.0),
    "responders": (("responders",), "people who responded, %", 100.0),
    "spreads": (("sd", "change_sd"), "spread between people (standard deviation), points of 100", 1.0),
}
"""Family to its statistics, what its axis means, and the factor from the file's unit to the axis."""
SCORED = {"mean": "points of 100", "change": "points of 100", "difference": "points of 100",
          "percent_change": "% of the level at enrolment", "responders": "% of people",
          "sd": "% of the spread", "change_sd": "% of the spread"}
"""Unit of the errors of a statistic; shares and log spreads are shown times 100."""
UNITS = {"points": "points of 100", "sd": "standard deviations", "ratio": "share", "weeks": "weeks"}
GROUPS = (("the theories' weights in needling", r"needle_|healing_by_flow"),
          ("how strong the context of each kind of care is", r"context\."),
          ("how people respond to context", r"context_"), ("disability", r"disability_|gain_"),
          ("how much trials differ", r"trial_"), ("the course of pain", ""))
NARROW, WIDE = 0.72, 0.88
"""Share inside the 80 % interval below which intervals count as too narrow, above which as wider than needed."""


def write(found: Mapping[str, Any], path: str | Path) -> None:
    """Write the report as one self-contained HTML file, whole or not at all."""
    write_text(path, page(found))


def page(found: Mapping[str, Any]) -> str:
    """The report as HTML.

    Arguments:
        found: the validation, as `validation.json` holds it; every part may be missing.
    """
    fit, out = _list(found, "fit"), _dict(found, "left_out")
    averages = _list(found, "averages")
    theories = _dict(found, "theories")
    return _template().render(
        words=in_words(found), made=_dict(found, "made"), stamp=_dict(found, "stamp"),
        models=_list(out, "models"), names=MODELS, by_statistic=[_scored(row) for row in _list(out, "by_statistic")],
        trials=[_trial(row, fit) for row in _list(out, "trials")], courses=courses(fit),
        forest={title: forest(fit, domain) for domain, title in DOMAINS.items()},
        counts={title: sum(row.get("domain") == domain for row in fit) for domain, title in DOMAINS.items()},
        pit=_dict(found, "pit"), external=[_pooled(row) for row in _list(found, "external")],
        spread=[_pooled(row | {"unit": "ratio"}) for row in _list(found, "spread")],
        theories=theories, titles={room.name: room.title for room in ROOMS}, benefit=benefit(theories),
        plainly=[_named(line, averages) for line in _list(theories, "plainly")],
        groups=grouped(averages), diagnostics=_dict(found, "diagnostics"), correlated=_list(found, "correlated"),
        why={row.get("name"): row.get("why") for row in averages},
        sensitivity=[row | {"rows": [_changed(r) for r in _list(row, "rows")]}
                     for row in _list(found, "sensitivity")],
        simulated=_dict(found, "simulation_based"), unused=_list(found, "unused"), figures=figures,
        small=evidence.fact("pooled_li2020_mbma").citation())


def in_words(found: Mapping[str, Any]) -> list[str]:
    """What was fitted, how well trials that were left out are predicted, and what the trials say of the needles."""
    made, models = _dict(found, "made"), _list(_dict(found, "left_out"), "models")
    said = []
    if made.get("statistics"):
        said.append(f"The averages of the model were fitted to {made['statistics']} published results on pain and "
                    f"disability of groups of people, from {made.get('trials', 'several')} studies (trials, and a few "
                    "cohorts and reviews of what the trials lack). No one's own data were used.")
    own = next((row for row in models if row.get("model") == "deqi"), None)
    if own:
        said += _predicted(own, [row for row in models if row is not own])
    pooled = _list(found, "external")
    if pooled:
        apart = [row for row in pooled if not row.get("overlap")]
        said.append(f"Of {len(pooled)} pooled results that the fit never saw, {len(pooled) - len(apart)} overlap with "
                    "what the model says" + ("." if not apart else "; these do not: "
                    + "; ".join(f"{row['what']} ({row.get('conflict') or 'no overlap'})" for row in apart) + "."))
    beyond = next((row for row in _list(_dict(found, "theories"), "benefit") if row.get("theory") == "all of it"), None)
    if beyond:
        said.append("After a course like that of the GERAC trial the model puts pain under needles against pain under "
                    "sham at " + ", and ".join(f"{_range(beyond.get(key))} points of 100 after {week} weeks"
                                               for key, week in (("week6", 6), ("week26", 26)) if beyond.get(key))
                    + " (middle, 80 % range; less than zero is less pain).")
    return said


def _predicted(own: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> list[str]:
    c80 = own.get("covered_80")
    verdict = "" if c80 is None else (
        " The intervals are too narrow: trust them less than they ask for." if c80 < NARROW else
        " The intervals are somewhat wider than they need be." if c80 > WIDE else
        " The intervals are about as wide as they should be.")
    said = [f"Each trial was also predicted from all the others. Of {own.get('statistics')} published changes of pain, "
            f"{_percent(c80)} lie inside the 80 % interval and {_percent(own.get('covered_95'))} inside the 95 % "
            f"interval; the middle of the prediction is off by {_nrs(own.get('mae'))} points on the 0 to 10 scale on "
            f"average.{verdict}"]
    if others:
        rivals = "; ".join(f"{MODELS.get(str(row['model']), row['model'])}: off by {_nrs(row.get('mae'))}, "
                           f"{_percent(row.get('covered_80'))} and {_percent(row.get('covered_95'))}"
                           for row in others)
        beaten = sum((row.get("mae") or 0.0) > (own.get("mae") or 0.0) for row in others)
        judged = ("The model's error is smaller than theirs." if beaten == len(others) else
                  "The model's error is not smaller than theirs." if not beaten else
                  f"The model's error is smaller than that of {beaten} of the {len(others)}.")
        said.append(f"Plain rules that know of no body and no theory, on the same trials: {rivals}. {judged}")
    return said


def courses(fit: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Changes of pain against weeks, a figure for each kind of arm, the most reported first."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for row in fit:
        before = 0.0 if row.get("statistic") == "change" else _baseline(row)
        usable = row.get("domain") == "pain" and row.get("statistic") in ("mean", "change")
        if usable and before is not None and row.get("value") is not None and len(row.get("left_out") or ()) == 5:
            by_kind.setdefault(str(row.get("kind")), []).append(
                {"week": row["week"], "change": row["value"] - before, "band": [q - before for q in row["left_out"]]})
    every = [x for rows in by_kind.values() for row in rows for x in (row["change"], row["band"][1], row["band"][3])]
    scale = Scale.around(every, step=10.0)
    ordered = sorted(by_kind.items(), key=lambda item: (-len(item[1]), item[0]))
    return [figures.weeks(f"weeks-{k}", kind, rows, (max(scale.low, -90.0), min(scale.high, 60.0)))
            for k, (kind, rows) in enumerate(ordered)]


def _baseline(row: Mapping[str, Any]) -> float | None:
    """Pain at enrolment: as the row says, else as the trial of that name that ships."""
    if "baseline" in row or row.get("domain") != "pain" or row.get("statistic") != "mean":
        return row.get("baseline")
    return _baselines().get((str(row.get("trial")), str(row.get("arm"))))


@cache
def _baselines() -> dict[tuple[str, str], float]:
    from .problem import baseline_of
    from .targets import studies

    known = {(trial.id, arm.id): baseline_of(trial, arm.id, "pain")[0] for trial in studies() for arm in trial.arms}
    return {place: value for place, value in known.items() if value is not None}


def forest(fit: Sequence[Mapping[str, Any]], domain: str) -> list[dict[str, Any]]:
    """Every published value beside its predictions: families of statistics, in each the trials, in each the rows."""
    found = []
    for family, (statistics, words, factor) in FAMILIES.items():
        rows = [row for row in fit if row.get("domain") == domain and row.get("statistic") in statistics]
        if not rows:
            continue
        every = [x for row in rows for x in (row.get("value"), *_ends(row.get("predicted")))]
        scale = Scale(0.0, 100.0) if family == "levels" else Scale.around(every, step=10.0 / factor)
        trials: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            trials.setdefault(str(row.get("title") or row.get("trial")), []).append(_row(row, scale, factor))
        found.append({"family": family, "rows": len(rows), "axis": figures.axis(scale, words, factor), "words": words,
                      "trials": trials,
                      "inside": sum(r["place"] == "inside80" for of in trials.values() for r in of)})
    return found


def _ends(band: Sequence[float] | None) -> tuple[float | None, ...]:
    return (band[1], band[3]) if band and len(band) == 5 else ()


def _row(row: Mapping[str, Any], scale: Scale, factor: float) -> dict[str, Any]:
    who = str(row.get("arm", "")) + (f" against {row['versus']}" if row.get("versus") else "")
    what = str(row.get("outcome") or "") + (", of the change" if row.get("statistic") == "change_sd" else "")
    value, predicted, out = row.get("value"), row.get("predicted") or (), row.get("left_out") or ()
    label = (f"published {_times(value, factor)}, predicted {_five(predicted, factor)}, "
             f"from the other trials {_five(out, factor)}")
    return {"who": who.replace("_", " "), "what": what.replace("_", " "), "week": number(row.get("week")),
            "n": row.get("n"), "value": _times(value, factor), "predicted": _five(predicted, factor),
            "left_out": _five(out, factor), "place": figures.standing(value, out),
            "plot": figures.forest(scale, value, predicted, out, label)}


def _scored(row: Mapping[str, Any]) -> dict[str, Any]:
    """Scores of one kind of result in the unit that they are shown in."""
    factor = 100.0 if row.get("statistic") in ("responders", "sd", "change_sd") else 1.0
    shown = {key: factor * row[key] for key in ("width_80", "width_95", "mae", "bias", "crps")
             if row.get(key) is not None}
    return {**row, **shown, "unit": SCORED.get(str(row.get("statistic")), ""),
            "statistic": str(row.get("statistic")).replace("_", " ").replace("sd", "SD")}


def _trial(row: Mapping[str, Any], fit: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Scores of one trial; its error over the results in points of 100 alone, where there are any."""
    errors = [abs(r["value"] - r["left_out"][2]) for r in fit
              if r.get("trial") == row.get("trial") and SCORED.get(str(r.get("statistic"))) == "points of 100"
              and r.get("value") is not None and len(r.get("left_out") or ()) == 5]
    anew = row.get("anew", row.get("k") is None)
    return {**row, "error": sum(errors) / len(errors) if errors else row.get("mae"), "anew": anew}


def _pooled(row: Mapping[str, Any]) -> dict[str, Any]:
    published, predicted = row.get("published"), row.get("predicted") or ()
    known = list(published) if isinstance(published, list | tuple) else [None, published, None]
    scale = Scale.around([*known, *predicted], zero=row.get("unit") != "weeks")
    words = f"published {_range(known)}, predicted {_range(predicted)}"
    return {**row, "published": _range(known), "predicted": _range(predicted),
            "unit": UNITS.get(str(row.get("unit")), row.get("unit")), "source": _source(row.get("source")),
            "plot": figures.ranges(scale, ((known, "published"), (predicted, "own")), words)}


def benefit(theories: Mapping[str, Any]) -> dict[str, Any]:
    """What each route carries of the benefit beyond sham, with its axis."""
    rows = _list(theories, "benefit")
    scale = Scale.around([x for row in rows for key in ("week6", "week26") for x in row.get(key) or ()], step=1.0)
    shown = [{**row, "week6": _range(row.get("week6"), 2), "week26": _range(row.get("week26"), 2),
              "plot": figures.ranges(scale, ((row.get("week6") or (), "own"), (row.get("week26") or (), "late")),
                                     f"week 6 {_range(row.get('week6'))}, week 26 {_range(row.get('week26'))}")}
             for row in rows]
    return {"rows": shown, "axis": figures.axis(scale, "points of 100 beyond sham")}


def grouped(averages: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Averages by what they are about, each with prior, posterior and its picture."""
    found: dict[str, list[dict[str, Any]]] = {title: [] for title, _ in GROUPS}
    for row in averages:
        prior, after = row.get("prior") or (), row.get("posterior") or ()
        title = next(title for title, pattern in GROUPS if re.match(pattern, str(row.get("name"))))
        found[title].append({**row, "prior": _range(prior, 3), "posterior": _range(after, 3),
                             "source": _source(row.get("source")), "plot": figures.moved(
                                 prior, after, f"prior {_range(prior, 3)}, posterior {_range(after, 3)}")})
    return {title: rows for title, rows in found.items() if rows}


def _changed(row: Mapping[str, Any]) -> dict[str, Any]:
    base, changed = row.get("base") or (), row.get("changed") or ()
    words = f"as it is {_range(base)}, changed {_range(changed)}"
    return {"what": row.get("what"), "base": _range(base), "changed": _range(changed),
            "plot": figures.ranges(Scale.around([*base, *changed], step=1.0),
                                   ((base, "published"), (changed, "own")), words)}


def _named(line: str, averages: Iterable[Mapping[str, Any]]) -> Markup:
    """A sentence in which names of averages stand as such, with what they mean on hovering."""
    why = {str(row.get("name")): str(row.get("why") or "") for row in averages}
    parts = re.split(r"(\b[\w.]+_\w+\b)", str(line))
    return Markup("").join(Markup('<code title="{}">{}</code>').format(why[part], part) if part in why else escape(part)
                           for part in parts)


def _source(source: Any) -> Markup:
    known = isinstance(source, str) and evidence.exists(source)
    return Markup('<code title="{}">{}</code>').format(evidence.fact(source).citation(), source) if known else \
        escape("" if source is None else source)


def _range(band: Sequence[float | None] | None, digits: int = 2) -> str:
    """`middle (low to high)`, to so many digits that count."""
    low, middle, high = (*(band or ()), None, None, None)[:3]
    ends = "" if low is None or high is None else f" ({_short(low, digits)} to {_short(high, digits)})"
    return "–" if middle is None else _short(middle, digits) + ends


def _short(value: float, digits: int) -> str:
    return number(value, 1) if abs(value) >= 10.0 else number(value, 4 if 0.0 < abs(value) < 0.1 and digits > 2 else 2)


def _five(band: Sequence[float], factor: float = 1.0) -> str:
    return f"{number(factor * band[2])} ({number(factor * band[1])} to {number(factor * band[3])})" \
        if len(band) == 5 else "–"


def _times(value: float | None, factor: float) -> str:
    return number(None if value is None else factor * value)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100.0 * share:.0f} %"


def _nrs(points: float | None) -> str:
    return "–" if points is None else f"{points / 10.0:.2f}"


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    return list(found.get(key) or ())


def _dict(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    return dict(found.get(key) or {})


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(loader=jinja2.PackageLoader("deqi.calibrate"), autoescape=True,
                                     undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"n": number, "whole": partial(number, digits=0), "percent": _percent_or_dash, "nrs": _nrs_}
    environment.globals["style"] = Markup(files(__package__).joinpath("templates/style.css").read_text("utf-8"))
    return environment.get_template("report.html.j2")


def _percent_or_dash(share: Any) -> str:
    return _percent(share) if isinstance(share, int | float) else "–"


def _nrs_(points: Any) -> str:
    return _nrs(points) if isinstance(points, int | float) else "–"
