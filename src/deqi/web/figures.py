"""The pictures that only the web needs: one person's course against its forecast, a practice's outcomes, its harms.

As in `consult.figures`: inline SVG with title and description, labels on the marks, classes and no colours, and marks
that differ in shape. The style sheet is `static/figures.css`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import sqrt
from typing import Any

from markupsafe import Markup
from scipy.special import ndtri

from ..consult.figures import LABELS, TEXT, WIDTH
from ..consult.svg import Scale, Spot, circle, frame, line, path, text
from ..consult.wording import number
from .marks import apart, ceiling, keys, mark, named, weeks, whole, wrapped
from .outcomes import TAILS

Row = Mapping[str, Any]
Number = Callable[[float | None, int], str]
SMALLEST = 1e-4
"""Of 100: a smaller rate is told as under it."""

def followed(forecast: Sequence[Row], scores: Sequence[Row], words: Row, name: str, reviews: Sequence[float] = (),
             number: Number = number) -> Markup:
    """Draw the forecast made when the plan began, and the scores since.

    Arguments:
        forecast: rows of one plan and one outcome (NRS, 0-10), weeks from its start.
        scores: `week` since the start and `value`.
        words: `followed` of the texts.
        name: unique on the page.
        reviews: weeks of review.
        number: writes a number for the reader.
    """
    rows = sorted(forecast, key=lambda row: row["week"])
    scores = sorted((score for score in scores if score["week"] >= 0), key=lambda score: score["week"])
    last = max([rows[-1]["week"], *(score["week"] for score in scores)])
    x, y = Scale(0, last, 24, 296), Scale(0, 10, 196, 26)

    def course(level: str) -> list[Spot]:
        return [(x(row["week"]), y(row["quantiles"][level])) for row in rows]

    places = [_beside_band(rows, score) for score in scores]
    ends, within = rows[-1]["quantiles"], [week for week in sorted(set(reviews)) if 0 < week <= last]
    tops = accumulate([y(ends["0.9"]) - 2, y(ends["0.75"]) + 2, y(ends["0.5"]) + 5],
                      lambda above, wanted: max(wanted, above + 36))
    told = {"weeks": number(rows[-1]["week"], 1), "start": number(rows[0]["quantiles"]["0.5"], 1),
            "end": number(ends["0.5"], 1), "q10": number(ends["0.1"], 1), "q90": number(ends["0.9"], 1),
            "scores": ", ".join(words["score"].format(value=number(score["value"], 1), week=number(score["week"], 1),
                                                      place=words["places"][place])
                                for score, place in zip(scores, places, strict=True)) or words["none"],
            "reviews": ", ".join(words["review"].format(week=number(week, 1)) for week in within)
            or words["no_reviews"]}
    spots = [(x(score["week"]), y(score["value"])) for score in scores]
    kinds = [*dict.fromkeys(["inside", *places]), *(["review"] if within else [])]
    drawn_keys, foot = keys([(kind, words["key"][kind]) for kind in kinds], 256)
    return frame(
        name, words["title"].format(**told), words["desc"].format(**told), WIDTH, foot,
        text(0, 13, words["y"], "soft"),
        *(line(24, y(value), 296, y(value), "grid") for value in range(0, 11, 2)),
        *(text(18, y(value) + 5, value, "soft", "end") for value in range(0, 11, 2)),
        path(course("0.9") + course("0.1")[::-1], "band80", closed=True),
        path(course("0.75") + course("0.25")[::-1], "band50", closed=True),
        path(course("0.5"), "median"),
        *(line(x(week), y.end, x(week), y.start, "review") for week in within),
        *([path(spots, "actual")] if len(spots) > 1 else []),
        *(mark(place, *spot) for place, spot in zip(places, spots, strict=True)),
        *(text(place, 214, number(week, 1), "soft", "middle") for week, place in weeks(last, x)),
        text(160, 233, words["x"], "soft", "middle"),
        *(text(302, top + TEXT * k, part, kind)
          for top, (label, kind) in zip(tops, LABELS.items(), strict=True) for k, part in enumerate(words[label])),
        *drawn_keys)


def funnel(rows: Sequence[Row], words: Row, week: float, name: str, number: Number = number) -> Markup:
    """Draw each group's share improved minus its mean forecast chance, against its size, between control limits.

    A mark's shape follows the exact limits of its own people; the lines are those of people with the average chance.

    Arguments:
        rows: as `outcomes.group` gives them; those with few people are named, not drawn.
        words: `funnel` of the texts.
        week: judged.
        name: unique on the page.
        number: writes a number for the reader.
    """
    many = sorted((row for row in rows if not row["few"]), key=lambda row: row["n"])
    few = ", ".join(row["label"] for row in rows if row["few"])
    told = "; ".join(words["part"].format(label=row["label"], difference=_signed(row["difference"], number),
                                          n=row["n"], verdict=words["verdicts"][row["verdict"]]) for row in many)
    title = words["title"].format(week=number(week, 1))
    desc = words["desc"].format(parts=told or words["nobody"], few=words["few"].format(labels=few) if few else "")
    size = max([row["n"] for row in many], default=10)
    variance = sum(row["n"] * row["variance"] for row in many) / max(1, sum(row["n"] for row in many))
    wanted = max([2 * _limit(size, variance, "99.8"), *(1.2 * abs(row["difference"]) for row in many)])
    reach = next(end for end in (0.2, 0.4, 0.6, 1.0) if wanted <= end or end == 1.0)
    x, y = Scale(0, size * 1.08, 38, 306), Scale(-reach, reach, 216, 26)
    spots = [(x(row["n"]), y(row["difference"])) for row in many]
    curves: list[Markup] = []
    ends = [(y(0) + 5, words["zero"])]
    for level in TAILS if many else ():
        limits = [(x(n), _limit(n, variance, level)) for k in range(1, 61) if (n := size * 1.08 * k / 60) >= 1]
        for side in (1, -1):
            curves.append(path([(place, y(side * limit)) for place, limit in limits if limit <= reach],
                               f"limit{level.replace('.', '')}"))
        ends.append((y(limits[-1][1]) + 5, words["limits"][level]))
    ticks = [k * reach / 2 for k in range(-2, 3)]
    drawn_keys, foot = keys([(kind, words["key"][kind]) for kind in dict.fromkeys(row["verdict"] for row in many)], 276)
    return frame(
        name, title, desc, WIDTH, foot,
        text(0, 13, words["y"], "soft"),
        *(line(38, y(tick), 306, y(tick), "grid") for tick in ticks),
        *(text(34, y(tick) + 5, _signed(tick, number, 0), "soft", "end") for tick in ticks),
        line(38, y(0), 306, y(0), "axis"), *curves,
        *(text(310, base, label, "soft") for base, label in apart(ends)),
        *(mark(row["verdict"], *spot, up=row["difference"] >= 0) for row, spot in zip(many, spots, strict=True)),
        *named([row["label"] for row in many], spots, (38, 14, 306, 216)),
        *([] if many else [text(172, 100, words["nobody"], "name", "middle")]),
        *(text(x(tick), 234, number(tick, 0), "soft", "middle") for tick in whole(size)),
        text(172, 253, words["x"].format(week=number(week, 1)), "soft", "middle"), *drawn_keys)


def calibration(bins: Sequence[Row], words: Row, week: float, name: str, number: Number = number) -> Markup:
    """Draw chances that were forecast against shares that came true, with intervals, beside the diagonal.

    Arguments:
        bins: as `outcomes.calibration` gives them.
        words: `calibration` of the texts.
        week: judged.
        name: unique on the page.
        number: writes a number for the reader.
    """
    x, y = Scale(0, 1, 34, 284), Scale(0, 1, 276, 26)
    told = "; ".join(words["part"].format(
        forecast=number(100 * row["forecast"], 0), share=number(100 * row["share"], 0), n=row["n"],
        low=number(100 * row["interval"][0], 0), high=number(100 * row["interval"][1], 0)) for row in bins)
    spots = [(x(row["forecast"]), y(row["share"])) for row in bins]
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    return frame(
        name, words["title"].format(week=number(week, 1)), words["desc"].format(parts=told or words["nobody"]),
        WIDTH, 316,
        text(0, 13, words["y"].format(week=number(week, 1)), "soft"),
        *(line(34, y(tick), 284, y(tick), "grid") for tick in ticks),
        *(text(28, y(tick) + 5, number(100 * tick, 0), "soft", "end") for tick in ticks),
        *([line(x(0), y(0), x(1), y(1), "yardstick")] if bins else []),
        *(text(292, top + 1.1 * TEXT * k, part, "soft") for top, parts in ((60, words["more"]), (216, words["fewer"]))
          for k, part in enumerate(wrapped(parts, 108)) if bins),
        *([path(spots, "curve")] if len(spots) > 1 else []),
        *(line(spot[0], y(row["interval"][0]), spot[0], y(row["interval"][1]), "whisker")
          for row, spot in zip(bins, spots, strict=True)),
        *(circle(*spot, 5.5, "own") for spot in spots),
        *(text(x(tick), 294, number(100 * tick, 0), "soft", "middle") for tick in ticks),
        text(159, 312, words["x"], "soft", "middle"),
        *([] if bins else [text(159, 124, words["nobody"], "name", "middle")]))


def rates(rows: Sequence[Row], labels: Mapping[str, str], unit: str, words: Row, name: str, number: Number = number
          ) -> Markup:
    """Draw adverse events per 100 with exact intervals, and the published rate under each.

    Arguments:
        rows: as `rates.rates` gives them.
        labels: by kind.
        unit: `per_treatment` or `per_patient`.
        words: `rates` of the texts.
        name: unique on the page.
        number: writes a number for the reader.
    """
    shown = [(labels[row["kind"]], row[unit]) for row in rows]
    known = [published for _, one in shown if (published := one["published"])]
    top = ceiling(max([100 * one["high"] for _, one in shown if not one["few"]]
                       + [100 * (one["high"] or one["rate"]) for one in known], default=1.0))
    x, base = Scale(0, top, 8, WIDTH - 8), 15
    drawn, told = [], []
    for label, one in shown:
        here, published = _here(one, words, number), one["published"]
        there = words["published"].format(value=_value(published, words, number)) if published else None
        drawn += [text(0, base, label), text(WIDTH, base, here, "soft", "end"),
                  line(x.start, base + 13, x.end, base + 13, "grid"), *_range(one, x, base + 13)]
        if published:
            drawn += [text(WIDTH, base + 34, there, "soft", "end"), *_published(published, x, base + 45)]
        base += 76 if published else 44
        told.append(words["part"].format(label=label, here=here, published=there or words["unpublished"]))
    kinds = [("here", any(not one["few"] and not one["bound"] for _, one in shown)),
             ("bound", any(not one["few"] and one["bound"] for _, one in shown)), ("published", bool(known))]
    drawn_keys, height = keys([(kind, words["key"][kind]) for kind, used in kinds if used], base + 45)
    ticks = [top * k / 4 for k in range(5)]
    return frame(
        name, words["titles"][unit], words["desc"].format(parts="; ".join(told)), WIDTH, height, *drawn,
        *(text(x(tick), base, number(tick, 2), "soft", ("start", "middle", "middle", "middle", "end")[k])
          for k, tick in enumerate(ticks)),
        text(WIDTH / 2, base + 20, words["units"][unit], "soft", "middle"), *drawn_keys)


def _range(one: Row, x: Scale, y: float) -> list[Markup]:
    """The interval of a rate and the rate in it; without an event only how far it may reach."""
    if one["few"]:
        return []
    low, middle, high = (x(100 * one[key]) for key in ("low", "rate", "high"))
    if one["bound"]:
        return [line(x.start, y, high, y, "upper"), line(high, y - 6, high, y + 6, "upper")]
    return [line(low, y, high, y, "range"), circle(middle, y, 5, "middle")]


def _published(one: Row, x: Scale, y: float) -> list[Markup]:
    whisker = [] if one["low"] is None else [line(x(100 * one["low"]), y, x(100 * one["high"]), y, "whisker")]
    return [line(x.start, y, x.end, y, "grid"), *whisker, mark("published", x(100 * one["rate"]), y)]


def _here(one: Row, words: Row, number: Number) -> str:
    if one["few"]:
        return str(words["few"].format(**one))
    if one["bound"]:
        high = 100 * one["high"]
        return str(words["none"].format(of=one["of"], high=number(high, _digits(high))))
    return _value(one, words, number)


def _value(one: Row, words: Row, number: Number) -> str:
    """A rate per 100 and its interval, whose ends have at most one decimal more than the rate."""
    rate = 100 * one["rate"]
    if rate < SMALLEST:
        return str(words["under"].format(value=number(SMALLEST, 4)))
    told = {key: number(value, min(_digits(value), _digits(rate) + (key != "rate")))
            for key in ("rate", "low", "high") if one[key] is not None and (value := 100 * one[key]) >= 0}
    return str(words["value" if "low" in told else "alone"].format(**told))


def _digits(rate: float) -> int:
    """Decimals that leave two figures which tell something."""
    return next((digits for digits in range(4) if rate >= 10 ** (1 - digits)), 4)


def _signed(share: float, number: Number, digits: int = 0) -> str:
    """A difference in points of 100 with its sign."""
    told = number(100 * abs(share), digits)
    return told if told == number(0, digits) else f"{'+' if share > 0 else '−'}{told}"


def _beside_band(rows: Sequence[Row], score: Row) -> str:
    """Whether a score lies inside the 80 % band, edges included, above or below; the band is straight between weeks."""
    week = min(max(score["week"], rows[0]["week"]), rows[-1]["week"])
    before, after = next(((a, b) for a, b in pairwise(rows) if a["week"] <= week <= b["week"]), (rows[-1], rows[-1]))
    part = (week - before["week"]) / ((after["week"] - before["week"]) or 1)
    low, high = (before["quantiles"][level] * (1 - part) + after["quantiles"][level] * part for level in ("0.1", "0.9"))
    return "below" if score["value"] < low - 1e-9 else "above" if score["value"] > high + 1e-9 else "inside"


def _limit(n: float, variance: float, level: str) -> float:
    """The control limit of a group of this size: normal, with half a person for the count being whole."""
    return float(ndtri(1 - TAILS[level])) * sqrt(variance / n) + 0.5 / n
