"""The pictures of the validation report: inline SVG with a title and a description, coloured by the style sheet alone.

Marks differ in shape or place as well as in colour. Every text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

WIDE = 300.0
"""Width of the strips in tables."""
WEEKS = (1, 2, 4, 8, 13, 26, 52, 104)
BINS = (0.0, 3.0, 5.5, 9.0, 15.0, 30.0, 60.0, math.inf)
"""Edges, in weeks, of the groups of results over which a band is averaged."""

Band = Sequence[float | None]


@dataclass(frozen=True)
class Scale:
    """A straight line from values to places; values outside are drawn at its ends."""

    low: float
    high: float
    start: float = 6.0
    end: float = WIDE - 6.0

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + min(1.0, max(0.0, share)) * (self.end - self.start), 1)

    @classmethod
    def around(cls, values: Iterable[float | None], *, step: float | None = None, zero: bool = True) -> Scale:
        """A scale that holds all values and, unless told otherwise, zero; its ends are whole steps."""
        known = [float(v) for v in values if v is not None and math.isfinite(v)] + ([0.0] if zero else [])
        low, high = min(known, default=0.0), max(known, default=1.0)
        step = step or 10.0 ** math.floor(math.log10(max(high - low, 1e-6)))
        low, high = step * math.floor(low / step), step * math.ceil(high / step)
        return cls(low, high if high > low else low + step)

    @property
    def ticks(self) -> list[float]:
        """At most seven round values."""
        for step in (s * 10.0**k for k in range(-4, 4) for s in (1.0, 2.0, 2.5, 5.0)):
            if (self.high - self.low) / step <= 6.0:
                first = math.ceil(self.low / step - 1e-9)
                return [step * k for k in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [self.low, self.high]


def number(value: Any, digits: int = 1) -> str:
    """A number without idle zeros; a dash where none is known."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def standing(value: float | None, band: Band) -> str:
    """Where a published value lies in a predicted band of five quantiles: inside80, inside95, outside, or unknown."""
    if value is None or len(band) != 5 or None in band:
        return "unknown"
    q025, q10, _, q90, q975 = (float(q) for q in band if q is not None)
    return "inside80" if q10 <= value <= q90 else "inside95" if q025 <= value <= q975 else "outside"


def forest(scale: Scale, value: float | None, predicted: Band, left_out: Band, label: str) -> Markup:
    """One published value on its predicted band (above) and on the band from the other trials (below, lighter)."""
    drawn = [_zero(scale, 24), _band(scale, predicted, 8.0, "fit"), _band(scale, left_out, 17.0, "out")]
    if value is not None:
        drawn.append(_mark(scale(value), 12.0, standing(value, left_out)))
    return _strip(label, 24, drawn)


def ranges(scale: Scale, rows: Sequence[tuple[Band, str]], label: str, reference: float = 0.0) -> Markup:
    """Ranges (low, middle, high), one below the other, each with its class; unknown ends are left out."""
    height = 6.0 + 10.0 * len(rows)
    drawn = [_zero(scale, height, reference)]
    for k, (band, kind) in enumerate(rows):
        y, (low, middle, high) = 8.0 + 10.0 * k, three(band)
        if low is not None and high is not None:
            drawn.append(_line(scale(low), y, scale(high), y, f"range {kind}"))
        if middle is not None:
            drawn.append(_circle(scale(middle), y, 3.6, f"dot {kind}"))
    return _strip(label, height, drawn)


def moved(prior: Band, posterior: Band, label: str) -> Markup:
    """Prior and posterior of one average on the scale on which its prior is a bell curve."""
    scale = Scale(-3.0, 3.0, end=164.0)
    drawn = [_line(scale(0.0), 1, scale(0.0), 25, "grid")]
    places = standardised(prior, posterior)
    if places is not None:
        low, middle, high = places
        drawn += [_line(scale(-1.645), 8, scale(1.645), 8, "range prior"), _circle(scale(0.0), 8, 3.4, "dot prior"),
                  _line(scale(low), 18, scale(high), 18, "range after"), _circle(scale(middle), 18, 3.6, "dot after")]
    return _strip(label, 26, drawn, 170.0)


def standardised(prior: Band, posterior: Band) -> tuple[float, float, float] | None:
    """Quantiles of a posterior in spreads of its prior: the prior's 5, 50 and 95 % become -1.645, 0 and 1.645."""
    before, after = three(prior), three(posterior)
    known = [x for x in (*before, *after) if x is not None]
    if len(known) < 6:
        return None
    turn = math.log if min(known) > 0.0 else float
    low, middle, high = (turn(x) for x in known[:3])
    if not low < middle < high:
        return None
    found = [1.645 * (turn(x) - middle) / ((high - middle) if turn(x) >= middle else (middle - low))
             for x in known[3:]]
    return found[0], found[1], found[2]


def axis(scale: Scale, words: str, factor: float = 1.0) -> Markup:
    """The scale of a column of strips."""
    drawn = [_line(scale.start, 4, scale.end, 4, "axis")]
    for tick in scale.ticks:
        drawn += [_line(scale(tick), 1, scale(tick), 7, "axis"),
                  _text(scale(tick), 19, number(factor * tick, 2), "tick", "middle")]
    return _strip(words, 22, drawn, kind="strip axis-strip")


def coverage(models: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Markup:
    """For each model the share of left-out results inside its 50, 80 and 95 % intervals, against what was promised."""
    scale, height = Scale(0.0, 100.0, 250.0, 690.0), 46 + 30 * len(models)
    drawn = []
    for promised in (50, 80, 95):
        drawn += [_line(scale(promised), 20, scale(promised), height - 22, "promised"),
                  _text(scale(promised), 13, f"{promised} %", "soft", "middle")]
    said = []
    for k, row in enumerate(models):
        y, name = 36 + 30 * k, labels.get(str(row.get("model")), str(row.get("model")))
        drawn += [_text(0, y + 5, name), _line(scale.start, y, scale.end, y, "grid")]
        for promised, shape in ((50, _square), (80, _diamond), (95, _circle)):
            share = row.get(f"covered_{promised}")
            if share is not None:
                drawn.append(shape(scale(100 * share), y, 6.0, f"share {'own' if k == 0 else 'other'}"))
                said.append(f"{name}: {100 * share:.0f} % inside the {promised} % interval")
    drawn += [_text(scale(x), height - 5, f"{x} %", "soft", "middle") for x in (0, 25, 50, 75, 100)]
    return _frame("coverage", "Share of left-out results inside their intervals", "; ".join(said), 720, height, drawn)


def weeks(name: str, kind: str, rows: Sequence[Mapping[str, Any]], scale: tuple[float, float]) -> Markup:
    """Changes of pain of one kind of arm against weeks, on the band that the other trials predicted.

    Arguments:
        name: unique on the page.
        kind: of arm, in words.
        rows: `week`, `change` and the quantiles `band` of the left-out prediction, as changes.
        scale: ends of the vertical scale, points of 100.
    """
    x = Scale(0.0, math.log(WEEKS[-1]), 42.0, 338.0)
    y = Scale(scale[0], scale[1], 196.0, 12.0)

    def across(week: float) -> float:
        return x(math.log(max(week, 1.0)))

    drawn: list[Markup] = []
    for tick in Scale(*scale).ticks:
        drawn += [_line(42, y(tick), 338, y(tick), "axis" if abs(tick) < 1e-9 else "grid"),
                  _text(36, y(tick) + 4, number(tick, 0), "soft", "end")]
    course = [(across(week), [y(q) for q in band]) for week, band in _binned(rows)]
    for lower, upper, style in ((0, 4, "band95"), (1, 3, "band80")):
        drawn.append(_path([(at, band[lower]) for at, band in course]
                           + [(at, band[upper]) for at, band in reversed(course)], style))
    drawn.append(_path([(at, band[2]) for at, band in course], "median", closed=False))
    counts = {"inside80": 0, "inside95": 0, "outside": 0}
    for row in rows:
        place = standing(row["change"], row["band"])
        counts[place] = counts.get(place, 0) + 1
        drawn.append(_mark(across(row["week"]), y(row["change"]), place))
    drawn += [_text(across(week), 212, week, "soft", "middle") for week in WEEKS]
    drawn.append(_text(193, 228, "weeks", "soft", "middle"))
    desc = (f"{len(rows)} published changes of pain; {counts['inside80']} inside the 80 % interval predicted from the "
            f"other trials, {counts['inside95']} more inside the 95 % interval, {counts['outside']} outside.")
    return _frame(name, f"Change of pain over weeks: {kind}", desc, 350, 234, drawn)


def _binned(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, list[float]]]:
    """Mean week (on the log scale) and mean quantiles of each group of weeks; the ends reach all that was reported."""
    found = []
    for low, high in zip(BINS, BINS[1:], strict=False):
        here = [row for row in rows if low <= row["week"] < high]
        if here:
            week = math.exp(sum(math.log(max(row["week"], 1.0)) for row in here) / len(here))
            found.append((week, [sum(row["band"][k] for row in here) / len(here) for k in range(5)]))
    if found:
        reported = [max(row["week"], 1.0) for row in rows]
        found = [(0.92 * min(reported), found[0][1]), *found, (1.09 * max(reported), found[-1][1])]
    return found


def histogram(values: Sequence[float], bars: int = 10) -> Markup:
    """Where published values fall in their predictive distributions; flat if the predictions are right."""
    counts = [0] * bars
    for value in values:
        counts[min(int(value * bars), bars - 1)] += 1
    even = len(values) / bars
    chance = 1.96 * math.sqrt(even * (1.0 - 1.0 / bars))
    x, y = Scale(0.0, 1.0, 6.0, 714.0), Scale(0.0, max(*counts, even + chance, 1.0) * 1.05, 160.0, 10.0)
    drawn = [_rect(x.start, y(even + chance), x.end - x.start, y(max(even - chance, 0.0)) - y(even + chance),
                   "chance")]
    width = (x.end - x.start) / bars
    drawn += [_rect(x.start + k * width + 2, y(count), width - 4, y(0) - y(count), "bar")
              for k, count in enumerate(counts)]
    drawn += [_text(x.start + (k + 0.5) * width, y(count) - 4, count, "soft", "middle")
              for k, count in enumerate(counts)]
    drawn += [_line(x.start, y(even), x.end, y(even), "promised"), _line(x.start, 160, x.end, 160, "axis")]
    drawn += [_text(x(place), 176, words, "soft", side) for place, words, side in (
        (0.0, "less pain than predicted", "start"), (0.5, "as predicted", "middle"),
        (1.0, "more pain than predicted", "end"))]
    return _frame("pit", "Where published values fall in their predicted distributions",
                  f"{bars} bars of equal promise, from below to above the prediction: {', '.join(map(str, counts))}; "
                  f"{even:.1f} expected in each.", 720, 184, drawn)


def key(*words: str) -> Markup:
    """What the marks of published values mean: inside 80 %, inside 95 %, outside."""
    shown = Markup('<span><svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">{}</svg> {}</span>')
    rows = [shown.format(_mark(7, 7, place), said)
            for place, said in zip(("inside80", "inside95", "outside"), words, strict=True)]
    return Markup('<p class="key small">{}</p>').format(Markup("").join(rows))


def three(band: Band | None) -> tuple[float | None, float | None, float | None]:
    """Low, middle and high of a range; what is missing is None."""
    low, middle, high = (*(band or ()), None, None, None)[:3]
    return low, middle, high


def _zero(scale: Scale, height: float, at: float = 0.0) -> Markup:
    return _line(scale(at), 0, scale(at), height, "zero") if scale.low <= at <= scale.high else Markup("")


def _band(scale: Scale, band: Band, y: float, kind: str) -> Markup:
    known = [float(q) for q in band if q is not None]
    if len(known) != 5:
        return Markup("")
    q025, q10, q50, q90, q975 = (scale(q) for q in known)
    return Markup("").join((_rect(q025, y - 1, max(q975 - q025, 1.0), 2, f"{kind}95"),
                            _rect(q10, y - 3, max(q90 - q10, 1.0), 6, f"{kind}80"),
                            _line(q50, y - 4, q50, y + 4, f"{kind}50")))


def _mark(x: float, y: float, place: str) -> Markup:
    if place == "outside":
        return Markup('<path d="M{} {}l8 8m0-8l-8 8" class="p-outside"/>').format(_n(x - 4), _n(y - 4))
    return _circle(x, y, 3.6, f"p-{place}")


def _strip(label: str, height: float, drawn: Sequence[Markup], width: float = WIDE, kind: str = "strip") -> Markup:
    return Markup('<svg class="{k}" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{t}">{d}'
                  "</svg>").format(k=kind, w=_n(width), h=_n(height), t=label, d=Markup("").join(drawn))


def _frame(name: str, title: str, desc: str, width: float, height: float, drawn: Sequence[Markup]) -> Markup:
    return Markup('<svg class="figure" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{n}-title {n}-desc">'
                  '<title id="{n}-title">{t}</title><desc id="{n}-desc">{s}</desc>{d}</svg>').format(
        n=name, t=title, s=desc, w=_n(width), h=_n(height), d=Markup("").join(drawn))


def _n(value: float) -> str:
    return number(float(value))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(*map(_n, (x1, y1, x2, y2)), kind)


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>').format(
        *map(_n, (x, y, width, height)), kind)


def _circle(x: float, y: float, radius: float, kind: str) -> Markup:
    return Markup('<circle cx="{}" cy="{}" r="{}" class="{}"/>').format(*map(_n, (x, y, radius)), kind)


def _square(x: float, y: float, radius: float, kind: str) -> Markup:
    return _rect(x - 0.85 * radius, y - 0.85 * radius, 1.7 * radius, 1.7 * radius, kind)


def _diamond(x: float, y: float, radius: float, kind: str) -> Markup:
    r = 1.2 * radius
    return _path([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], kind)


def _text(x: float, y: float, words: object, kind: str = "", anchor: str = "start") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>').format(_n(x), _n(y), anchor, kind, words)


def _path(spots: Sequence[tuple[float, float]], kind: str, closed: bool = True) -> Markup:
    if not spots:
        return Markup("")
    steps = "L".join(f"{_n(x)} {_n(y)}" for x, y in spots)
    return Markup('<path d="M{}" class="{}"/>').format(steps + ("Z" if closed else ""), kind)
