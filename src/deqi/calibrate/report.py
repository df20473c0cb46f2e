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
from .figures import three as _three

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
    return _template("report.html.j2").render(
        words=in_words(found), made=_dict(found, "made"), stamp=_dict(found, "stamp"),
        models=_list(out, "models"), names=MODELS, by_statistic=[_scored(row) for row in _list(out, "by_statistic")],
        trials=[_trial(row, fit) for row in _list(out, "trials")], courses=courses(fit),
        forest={title: forest(fit, domain) for domain, title in DOMAINS.items()},
        counts={title: sum(row.get("domain") == domain for row in fit) for domain, title in DOMAINS.items()},
        pit=_dict(found, "pit"), pit_values=_list(_dict(found, "pit"), "values"),
        external=[_pooled(row) for row in _list(found, "external")],
        spread=[_pooled({"inside": None, **row}) for row in _list(found, "spread")],
        theories=theories, weights=[_moved(row) for row in _list(theories, "weights")], verdicts=verdicts(theories),
        titles={room.name: room.title for room in ROOMS}, benefit=benefit(theories),
        plainly=[_named(line, averages) for line in _list(theories, "plainly")],
        groups=grouped(averages), diagnostics=_dict(found, "diagnostics"), correlated=_list(found, "correlated"),
        why={row.get("name"): row.get("why") for row in averages},
        sensitivity=[row | {"rows": [_changed(r) for r in _list(row, "rows")]}
                     for row in _list(found, "sensitivity")],
        simulated=_dict(found, "simulation_based"), unused=_list(found, "unused"), figures=figures,
        small=_source("pooled_li2020_mbma"))


def in_words(found: Mapping[str, Any]) -> list[str]:
    """What was fitted, how well trials that were left out are predicted, and what the trials say of the needles."""
    out, pooled = _dict(found, "left_out"), _list(found, "external")
    models = _list(out, "models")
    own = next((row for row in models if row.get("model") == "deqi"), None)
    others = [row for row in models if row is not own]
    benefits = _list(_dict(found, "theories"), "benefit")
    beyond: Mapping[str, Any] = next((row for row in benefits if row.get("theory") == "all of it"), {})
    said = _template("words.txt.j2").render(
        made=_dict(found, "made"), own=own, others=others, names=MODELS, narrow=NARROW, wide=WIDE,
        beaten=sum((row.get("mae") or 0.0) > ((own or {}).get("mae") or 0.0) for row in others),
        kinds=_every_kind(_list(out, "by_statistic")), pooled=pooled,
        apart=[row for row in pooled if not row.get("overlap")], held=sum(map(_held, pooled)),
        beyond={week: _range(beyond[f"week{week}"], 1) for week in (6, 26) if beyond.get(f"week{week}")})
    return [line for line in said.splitlines() if line.strip()]


def _every_kind(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many results of every kind lie inside their 80 % interval, and the kinds that are stated too surely."""
    known = [row for row in rows if row.get("statistics") and row.get("covered_80") is not None]
    results = sum(row["statistics"] for row in known)
    inside = sum(row["statistics"] * row["covered_80"] for row in known)
    worst = sorted((row for row in known if row["covered_80"] < NARROW), key=lambda row: row["covered_80"])
    return {"results": results, "inside": inside / results if results else None,
            "worst": [{**row, "statistic": _statistic(row)} for row in worst]}


def _statistic(row: Mapping[str, Any]) -> str:
    return str(row.get("statistic")).replace("_", " ").replace("sd", "SD")


def _held(row: Mapping[str, Any]) -> bool:
    """Whether the middle of a pooled result lies inside the model's range."""
    published, (low, _, high) = row.get("published"), _three(row.get("predicted"))
    middle = _three(published)[1] if isinstance(published, list | tuple) else published
    return middle is not None and low is not None and high is not None and low <= middle <= high


def courses(fit: Sequence[Mapping[str, Any]]) -> dict[str, Markup]:
    """Changes of pain against weeks: kind of arm to its figure, the most reported first."""
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
    ends = max(scale.low, -90.0), min(scale.high, 60.0)
    return {f"{kind} ({len(rows)})": figures.weeks(f"weeks-{k}", kind, rows, ends)
            for k, (kind, rows) in enumerate(ordered)}


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
            "statistic": _statistic(row)}


def _trial(row: Mapping[str, Any], fit: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Scores of one trial; its error over the results in points of 100 alone, where there are any."""
    own = [r for r in fit if r.get("trial") == row.get("trial")]
    errors = [abs(r["value"] - r["left_out"][2]) for r in own if SCORED.get(str(r.get("statistic"))) == "points of 100"
              and r.get("value") is not None and len(r.get("left_out") or ()) == 5]
    error = sum(errors) / len(errors) if errors else None if own else row.get("mae")
    return {**row, "error": error, "anew": row.get("anew", row.get("k") is None)}


def _pooled(row: Mapping[str, Any]) -> dict[str, Any]:
    published, predicted = row.get("published"), row.get("predicted") or ()
    known = list(published) if isinstance(published, list | tuple) else [None, published, None]
    reference = 1.0 if "inside" in row else 0.0
    scale = Scale.around([*known, *predicted, reference], zero=False)
    words = f"published {_range(known)}, predicted {_range(predicted)}"
    return {**row, "published": _range(known), "predicted": _range(predicted), "held": _held(row),
            "unit": UNITS.get(str(row.get("unit")), row.get("unit")), "source": _source(row.get("source")),
            "plot": figures.ranges(scale, ((known, "published"), (predicted, "own")), words, reference)}


def benefit(theories: Mapping[str, Any]) -> dict[str, Any]:
    """What each route carries of the benefit beyond sham, with its axis."""
    rows = _list(theories, "benefit")
    scale = Scale.around([x for row in rows for key in ("week6", "week26") for x in row.get(key) or ()], step=1.0)
    shown = [{**row, "week6": _range(row.get("week6")), "week26": _range(row.get("week26")),
              "plot": figures.ranges(scale, ((row.get("week6") or (), "own"), (row.get("week26") or (), "late")),
                                     f"week 6 {_range(row.get('week6'))}, week 26 {_range(row.get('week26'))}")}
             for row in rows]
    return {"rows": shown, "axis": figures.axis(scale, "points of 100 beyond sham")}


def grouped(averages: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Averages by what they are about, each with prior, posterior and its picture."""
    found: dict[str, list[dict[str, Any]]] = {title: [] for title, _ in GROUPS}
    for row in averages:
        title = next(title for title, pattern in GROUPS if re.match(pattern, str(row.get("name"))))
        found[title].append(_moved(row))
    return {title: rows for title, rows in found.items() if rows}


def _moved(row: Mapping[str, Any]) -> dict[str, Any]:
    prior, after = _range(row.get("prior"), None), _range(row.get("posterior"), None)
    return {**row, "prior": prior, "posterior": after, "source": _source(row.get("source")),
            "plot": figures.moved(row.get("prior") or (), row.get("posterior") or (),
                                  f"prior {prior}, posterior {after}")}


def verdicts(theories: Mapping[str, Any]) -> dict[str, str]:
    """Theory to what its absence does to the prediction of trials that were left out."""
    said = {}
    for row in _list(theories, "left_out"):
        difference, se = row.get("difference") or 0.0, row.get("se") or 0.0
        rough = (row.get("k") or 0.0) > 0.7 or (row.get("not_trusted") or 0) > (row.get("trials") or 0)
        said[row.get("without")] = "the trials do not say" if abs(difference) <= 2.0 * se else (
            f"trials are predicted better {'with' if difference < 0.0 else 'without'} it") + (
            ", but the sum is not to be trusted" if rough else "")
    return said


def _changed(row: Mapping[str, Any]) -> dict[str, Any]:
    base, changed = row.get("base") or (), row.get("changed") or ()
    words = f"as it is {_range(base)}, changed {_range(changed)}"
    scale = Scale.around([*base, *changed], step=1.0)
    return {"what": row.get("what"), "base": _range(base), "changed": _range(changed),
            "plot": figures.ranges(scale, ((base, "published"), (changed, "own")), words)}


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


def _range(band: Sequence[float | None] | None, digits: int | None = 2) -> str:
    """`middle (low to high)`, with so many decimals; three digits that count where none are asked for."""
    low, middle, high = _three(band)

    def shown(value: float) -> str:
        return f"{value:.3g}" if digits is None else number(value, digits)

    return "–" if middle is None else shown(middle) + (
        "" if low is None or high is None else f" ({shown(low)} to {shown(high)})")


def _five(band: Sequence[float], factor: float = 1.0) -> str:
    return f"{number(factor * band[2])} ({number(factor * band[1])} to {number(factor * band[3])})" \
        if len(band) == 5 else "–"


def _times(value: float | None, factor: float) -> str:
    return number(None if value is None else factor * value)


def _percent(share: Any) -> str:
    return f"{100.0 * share:.0f} %" if isinstance(share, int | float) else "–"


def _nrs(points: Any) -> str:
    return f"{points / 10.0:.2f}" if isinstance(points, int | float) else "–"


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    return list(found.get(key) or ())


def _dict(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    return dict(found.get(key) or {})


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(loader=jinja2.PackageLoader("deqi.calibrate"), autoescape=True,
                                     undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"n": number, "whole": partial(number, digits=0), "percent": _percent, "nrs": _nrs}
    environment.globals["key"] = figures.key
    environment.globals["style"] = Markup(files(__package__).joinpath("templates/style.css").read_text("utf-8"))
    return environment.get_template(name)

