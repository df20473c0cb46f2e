"""The theories on one page: equations, parameters, experiments with model against published, what fails, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from .. import evidence
from ..body.equations import formulas
from ..body.system import ROOMS, THEORIES
from ..body.theory import Parameter
from ..writing import write_text
from . import discriminate, yardsticks
from .bands import rules
from .bodies import bodies
from .experiment import not_run
from .fit import shipped_fit
from .scoreboard import USES, Row, Scoreboard, counts, in_words, provenance, summary, tied
from .statistics import STATISTICS

WIDTH, HEIGHT, REACH = 132.0, 18.0, 3.0
CLAIMS = {
    "gate": "Other input closes the gate in the spinal cord through which pain must pass.",
    "neurotransmitters": "The needle releases opioids, monoamines and adenosine, which quieten pain.",
    "inflammation": "Needling lowers the mediators that make nociceptors fire.",
    "circulation": "Needling opens vessels, and flow washes away what hurts.",
    "muscle": "Needling quietens trigger points and loosens guarded muscle.",
}


def write(board: Scoreboard, path: str | Path) -> None:
    """Write the report as one self-contained HTML file, whole or not at all."""
    write_text(path, render(board))


def render(board: Scoreboard) -> str:
    """The report as HTML."""
    found = summary(board.rows)
    ranks = discriminate.ranking(tied(board.rows))
    return _template("report.html.j2").render(
        found=found, words=in_words(board.rows), theories=THEORIES, claims=CLAIMS,
        titles=titles(), sections={theory: section(board, theory) for theory in THEORIES if of(board, theory)},
        best=best(ranks), comparisons=yardsticks.comparisons(), not_run=not_run(), rules=rules()["rules"],
        provenance=provenance(), fit=shipped_fit().get("loss"), total=counts(board.rows),
        small=evidence.fact("pooled_li2020_mbma").citation(),
        ours=any(row.band_status != "not registered" for row in board.rows))


def section(board: Scoreboard, theory: str) -> Markup:
    """One theory: equations, parameters, experiments, what fails; an HTML fragment for the report and the manual."""
    room = next(room for room in ROOMS if room.name == theory)
    return Markup(_template("theory.html.j2").render(
        room=room, equations={part: [_mathml(line) for line in lines] for part, lines in formulas(room).items()},
        parameters=parameters(theory), **scores(board, theory)))


def scores(board: Scoreboard, theory: str) -> dict[str, Any]:
    """What the templates need of one theory's experiments."""
    rows = of(board, theory)
    missed: dict[str, list[Row]] = {}
    for row in rows:
        if row.verdict != "within":
            missed.setdefault(row.reason or "Not explained.", []).append(row)
    return {"rows": rows, "missed": missed, "plot": plot, "says": says, "theory": theory,
            "uses": {use: counts([row for row in rows if row.experiment.use == use]) for use in USES},
            "earned": [row for row in board.rows if theory in row.earned_by]}


def of(board: Scoreboard, theory: str) -> list[Row]:
    """The rows of one theory."""
    return [row for row in board.rows if row.experiment.theory == theory]


def best(ranks: Sequence[discriminate.Rank], most: int = 3) -> list[discriminate.Rank]:
    """The most telling candidates of each pair."""
    kept: list[discriminate.Rank] = []
    for rank in ranks:
        if sum(other.theories == rank.theories for other in kept) < most:
            kept.append(rank)
    return kept


def titles() -> dict[str, str]:
    """Theory to its title."""
    return {room.name: room.title for room in ROOMS}


def parameters(theory: str) -> list[dict[str, Any]]:
    """Parameters of a theory: prior, fitted value, how far it moved, its source; those of other bodies last."""
    room = next(room for room in ROOMS if room.name == theory)
    fitted = {row["address"]: row for row in shipped_fit().get("parameters", ())}
    own = [(f"{name}:{key}", q, body.name) for name, body in bodies().items() for key, q in body.values.items()
           if body.owner[key] == name and key.startswith(f"{theory}.")]
    places = [(f"{theory}.{q.name}", q, "") for q in room.parameters] + own
    return [_parameter(place, q, body, fitted.get(place)) for place, q, body in places]


def _parameter(place: str, q: Parameter, body: str, fitted: Mapping[str, Any] | None) -> dict[str, Any]:
    source = evidence.fact(q.source).citation() if evidence.exists(q.source) else q.source
    return {"name": q.name, "body": body.replace("_", " "), "prior": q, "value": fitted["value"] if fitted else q.value,
            "moved": fitted["z"] if fitted else None, "sure": 1 - fitted["sd"] if fitted else None, "source": source}


def says(row: Row) -> dict[str, str]:
    """What was measured, the band and the model's value, in words."""
    e = row.experiment
    low, high = e.band.low, e.band.high
    band = f"{_short(low)} to {_short(high)}" if None not in (low, high) else \
        f"at least {_short(low)}" if high is None else f"at most {_short(high)}"
    at = "" if not e.question.at else " at " + " and ".join(f"{minute:g} min" for minute in e.question.at)
    return {"measured": f"{e.readout.replace('_', ' ')}: {STATISTICS[e.statistic].meaning}{at}", "band": band,
            "value": _short(row.value), "without": _short(row.without[e.theory][0])}


def _short(value: float | None) -> str:
    if value is not None and not math.isfinite(value):
        return "not formed" if math.isnan(value) else "beyond the watch"
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def plot(row: Row) -> Markup:
    """The band and the model on one line: band within, wider band near, a mark for the model."""
    band = row.experiment.band

    def place(x: float) -> float:
        return round((min(max(x, -REACH), REACH) + REACH) / (2 * REACH) * (WIDTH - 12) + 6, 1)

    ends, scale = _scale(band)
    near = [place(scale(bound)) if bound is not None else end
            for bound, end in zip(band.near, (place(-REACH), place(REACH)), strict=True)]
    inner = [place(end) for end in ends]
    x = place(scale(row.value)) if math.isfinite(row.value) else place(REACH)
    mark = {"within": f'<circle cx="{x}" cy="9" r="4.2" class="m-within"/>',
            "near": f'<path d="M{x} 4l4.6 5-4.6 5-4.6-5z" class="m-near"/>',
            "outside": f'<path d="M{x - 4} 5l8 8m0-8l-8 8" class="m-outside"/>'}[row.verdict]
    words = says(row)
    return Markup(f'<svg class="row-plot" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="published '
                  f'{words["band"]}, model {words["value"]}, {row.verdict}"><rect x="{near[0]}" y="5" '
                  f'width="{max(near[1] - near[0], 0):.1f}" height="8" class="b-near"/><rect x="{inner[0]}" y="5" '
                  f'width="{max(inner[1] - inner[0], 0):.1f}" height="8" class="b-within"/>{mark}</svg>')


def _scale(band: Any) -> tuple[tuple[float, float], Any]:
    """Ends of the band on the plot's scale, and the function that takes a value there."""
    low, high = band.low, band.high
    if low is not None and high is not None:
        half = max(0.5 * (high - low), 1e-9)
        return (-1.0, 1.0), lambda v: (v - 0.5 * (low + high)) / half
    edge, wide = (low, band.near_low) if high is None else (high, band.near_high)
    unit = max(abs(wide - edge), 0.05)
    ends = (0.0, REACH) if high is None else (-REACH, 0.0)
    return ends, lambda v: (v - edge) / unit


@cache
def _mathml(latex: str) -> Markup:
    from latex2mathml.converter import convert

    return Markup(convert(latex, display="block"))


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(loader=jinja2.PackageLoader("deqi.theories"), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["style"] = Markup(files(__package__).joinpath("templates/style.css").read_text("utf-8"))
    return environment.get_template(name)
