"""The pictures of the report: inline SVG with a title, a description and labels on the marks themselves.

Every figure takes the piece of the result it shows, the words for it, and a name that is unique on the page.
Marks differ in shape or place as well as in colour, so that nothing rests on colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from math import ceil
from typing import Any

from markupsafe import Markup

from deqi.consult.svg import Scale, Spot, circle, frame, group, line, path, person, rect, text
from deqi.consult.wording import number

WIDTH = 400
TEXT = 15                  # the style sheet's size of words in a figure
CHARACTER = 0.53 * TEXT    # the width of a character, rather too wide than too narrow
LABELS = {"outer": "soft", "inner": "soft", "middle": "strong"}    # of the fan, from the top

Row = Mapping[str, Any]
Box = tuple[float, float, float, float]


def fan(forecast: Sequence[Row], scores: Sequence[Row], words: Row, name: str) -> Markup:
    """Draw pain over the weeks: middle, 50 % and 80 % bands, and the person's own scores as dots.

    Arguments:
        forecast: rows of one option and one outcome (NRS, 0-10).
        scores: the person's own NRS scores, weeks relative to now; negative ones lie before the forecast.
        words: `course.figure` of the texts.
        name: unique on the page.
    """
    rows = sorted(forecast, key=lambda row: row["week"])
    first, last = min([0.0, *(score["week"] for score in scores)]), rows[-1]["week"]
    x, y = Scale(first, last, 24, 296), Scale(0, 10, 196, 26)

    def course(level: str) -> list[Spot]:
        return [(x(row["week"]), y(row["quantiles"][level])) for row in rows]

    weeks = [*([first] if first < -3 else []), 0, *range(6, int(last) - 2, 6), last]
    ends = rows[-1]["quantiles"]
    tops = accumulate([y(ends["0.9"]) - 2, y(ends["0.75"]) + 2, y(ends["0.5"]) + 5],
                      lambda above, wanted: max(wanted, above + 36))
    told = {"weeks": number(last), "start": number(rows[0]["quantiles"]["0.5"]), "end": number(ends["0.5"]),
            "q10": number(ends["0.1"]), "q25": number(ends["0.25"]), "q75": number(ends["0.75"]),
            "q90": number(ends["0.9"]),
            "scores": ", ".join(words["score"].format(value=number(score["value"]), week=number(score["week"]))
                                for score in sorted(scores, key=lambda score: score["week"]))}
    return frame(
        name, words["title"].format(**told), words["desc"].format(**told), WIDTH, 238,
        text(0, 13, words["y"], "soft"),
        *(line(24, y(value), 296, y(value), "grid") for value in range(0, 11, 2)),
        *(text(18, y(value) + 5, value, "soft", "end") for value in range(0, 11, 2)),
        path(course("0.9") + course("0.1")[::-1], "band80", closed=True),
        path(course("0.75") + course("0.25")[::-1], "band50", closed=True),
        path(course("0.5"), "median"),
        *(circle(x(score["week"]), y(score["value"]), 4.5, "own") for score in scores),
        *(text(x(week), 214, number(week) if week else words["now"], "soft", "middle")
          for week in dict.fromkeys(weeks)),
        text(162, 233, words["x"], "soft", "middle"),
        *(text(302, top + 15 * k, part, kind)
          for top, (label, kind) in zip(tops, LABELS.items(), strict=True)
          for k, part in enumerate(words[label])))


def people(counts: Mapping[str, int], title: str, desc: str, name: str) -> Markup:
    """Draw 100 marks, ten by ten, always in the order of `counts`.

    Arguments:
        counts: how many of each kind (anyway, extra, fewer, same, worse); together 100.
        title, desc: for screen readers.
        name: unique on the page.
    """
    spots = iter([(11 * (k % 10) + 5.5, 11 * (k // 10) + 5.5) for k in range(100)])
    groups = [group(f"mark-{kind}", *(person(kind, *next(spots)) for _ in range(count)))
              for kind, count in counts.items()]
    return frame(name, title, desc, 110, 110, *groups)


def strip(low: float, middle: float, high: float, span: Spot, title: str, desc: str, name: str,
          ends: Sequence[str] = (), beside: tuple[float, str] | None = None, width: int = 160) -> Markup:
    """Draw a range and its middle on a scale that shows both of its ends.

    Arguments:
        low, middle, high: the range, in the units of `span`.
        span: the ends of the scale.
        title, desc: for screen readers.
        name: unique on the page.
        ends: words for the ends of the scale; without them, its numbers.
        beside: another value to mark, with its label.
        width: of the view box.
    """
    x, y = Scale(*span, 6, width - 6), 32 if beside else 16
    ends = ends or [number(value) for value in span]
    other: list[Markup] = []
    if beside:
        place = x(beside[0])
        side = "start" if place < 0.15 * width else "end" if place > 0.85 * width else "middle"
        other = [line(place, y - 16, place, y, "other"), text(place, 12, beside[1], "soft", side)]
    return frame(
        name, title, desc, width, y + 24,
        line(6, y, width - 6, y, "axis"),
        *(line(x(end), y - 5, x(end), y + 5, "axis") for end in span),
        line(x(low), y, x(high), y, "range"), circle(x(middle), y, 5.5, "middle"), *other,
        text(2, y + 20, ends[0], "soft"), text(width - 2, y + 20, ends[-1], "soft", "end"))


def of_hundred(count: float, interval: Sequence[float] | None, title: str, desc: str, name: str) -> Markup:
    """Draw a thin bar from 0 to 100, filled to `count`, with its interval if known."""
    x = Scale(0, 100, 1, 159)
    whisker = [line(x(interval[0]), 5, x(interval[1]), 5, "whisker")] if interval else []
    return frame(name, title, desc, 160, 10, rect(1, 1, 158, 8, "track"),
                 rect(1, 1, max(1.0, x(count) - 1), 8, "fill"), *whisker)


def parts(rows: Sequence[Row], words: Row, week: float, name: str) -> Markup:
    """Draw the fall in pain as one stacked bar and, under it, each part at its place with its range.

    Arguments:
        rows: `theories.decomposition`: label, median, low and high in points of NRS taken off.
        words: `needles.figure` of the texts.
        week: of the forecast.
        name: unique on the page.
    """
    *starts, total = accumulate((row["median"] for row in rows), initial=0.0)
    floor = min(0.0, *(start + row["low"] for start, row in zip(starts, rows, strict=True)))
    top = max(0.5, *(start + row["high"] for start, row in zip(starts, rows, strict=True)))
    x, foot = Scale(floor, ceil(top * 2) / 2, 1, WIDTH - 6), 56 + 29 * len(rows)
    drawn, told = [text(0, 13, words["whole"].format(total=number(total)), "strong")], []
    for k, (start, row) in enumerate(zip(starts, rows, strict=True)):
        left, right = sorted((x(start), x(start + row["median"])))
        base, kind, shown = 56 + 29 * k, f"part part{k + 1}", _shown(row)
        drawn += [
            rect(left, 19, right - left, 20, kind), text(0, base, row["label"]),
            text(WIDTH, base, words["value"].format(**shown), "soft", "end"),
            line(x.start, base + 9, x.end, base + 9, "grid"), rect(left, base + 4, right - left, 10, kind),
            line(x(start + row["low"]), base + 9, x(start + row["high"]), base + 9, "whisker")]
        told.append(words["part"].format(label=row["label"], **shown))
    whole = range(ceil(floor), int(x.high) + 1)
    drawn += [text(x(value), foot + 4, value, "soft", "middle") for value in whole]
    drawn.append(text(0, foot + 22, words["x"].format(week=number(week)), "soft"))
    title, desc = words["title"].format(week=number(week)), words["desc"].format(parts="; ".join(told))
    return frame(name, title, desc, WIDTH, foot + 26, *drawn)


def shares(rows: Sequence[Row], labels: Sequence[str], words: Row, name: str) -> Markup:
    """Draw the share of the effect each theory carries as a range from 0 to 100 %.

    Arguments:
        rows: `theories.shares`; each `share` has low, median, high as fractions.
        labels: one for each row.
        words: `theories.figure` of the texts.
        name: unique on the page.
    """
    ranges = [(label, *(100 * row["share"][key] for key in ("low", "median", "high")))
              for label, row in zip(labels, rows, strict=True)]
    return _ranges(ranges, None, words, 0, name)


def comparison(options: Sequence[Row], words: Row, week: float, name: str) -> Markup:
    """Draw how many of 100 get better with each option, and how unsure that is, on one scale.

    Arguments:
        options: those that can be had; the first is the yardstick, marked through all rows.
        words: `certainty.figure.average` of the texts.
        week: of the forecast.
        name: unique on the page.
    """
    better = [option["benefit"]["improved_30pct"] for option in options]
    ranges = [(option["label"], row["range_average"][0], row["with"], row["range_average"][1])
              for option, row in zip(options, better, strict=True)]
    return _ranges(ranges, better[0]["without"], words, week, name)


def _ranges(rows: Sequence[tuple[str, float, float, float]], yardstick: float | None, words: Row, week: float,
            name: str) -> Markup:
    """Rows of label, low, middle and high from 0 to 100, each with its numbers at the right end."""
    x, foot = Scale(0, 100, 164, WIDTH - 92), 10 + 24 * len(rows)
    drawn, told = [], []
    if yardstick is not None:
        drawn.append(line(x(yardstick), 2, x(yardstick), foot - 8, "yardstick"))
    for k, (label, low, median, high) in enumerate(rows):
        base = 17 + 24 * k
        shown = {"low": number(low, 0), "median": number(median, 0), "high": number(high, 0)}
        drawn += [
            text(0, base, label), text(WIDTH, base, words["value"].format(**shown), "soft", "end"),
            line(x(0), base - 5, x(100), base - 5, "grid"),
            line(x(low), base - 5, x(high), base - 5, "range"),
            circle(x(median), base - 5, 4.5, "middle")]
        told.append(words["part"].format(label=label, **shown))
    drawn += [text(x(value), foot + 10, value, "soft", "middle") for value in (0, 50, 100)]
    drawn.append(text((x.start + x.end) / 2, foot + 27, words["x"].format(week=number(week)), "soft", "middle"))
    title, desc = words["title"].format(week=number(week)), words["desc"].format(parts="; ".join(told))
    return frame(name, title, desc, WIDTH, foot + 32, *drawn)


def spread(uncertainty: Row, words: Row, name: str) -> Markup:
    """Draw what the spread of a forecast is made of, as one bar; parts are shares of the variance.

    Arguments:
        uncertainty: `options[].uncertainty`; standard deviations that the labels of `words` name.
        words: `certainty.figure.spread` of the texts.
        name: unique on the page.
    """
    squares = {key: uncertainty[key] ** 2 for key in words["labels"]}
    whole = sum(squares.values()) or 1.0
    x, drawn, told, start = Scale(0, whole, 0, WIDTH), [text(0, 13, words["lead"])], [], 0.0
    for k, (tone, (key, square)) in enumerate(zip((1, 3, 4), squares.items(), strict=True)):
        left, right = x(start), x(start + square)
        share = words["value"].format(label=words["labels"][key], share=number(100 * square / whole, 0))
        column, base = 180 * (k % 2), 55 + 20 * (k // 2)
        drawn += [rect(left, 20, right - left, 16, f"part part{tone}"),
                  rect(column, base - 11, 14, 12, f"part part{tone}"), text(column + 20, base, share)]
        told.append(share)
        start += square
    return frame(name, words["title"], words["desc"].format(parts="; ".join(told)), WIDTH, 82, *drawn)


def trade_off(points: Sequence[Row], words: Row, week: float, name: str) -> Markup:
    """Draw how many of 100 get better against the number of visits, the proposed plan marked.

    Arguments:
        points: `tailored.trade_off`: label, visits, improved_30pct, chosen.
        words: `plan.figure` of the texts.
        week: of the forecast.
        name: unique on the page.
    """
    points = sorted(points, key=lambda point: (point["visits"], point["improved_30pct"]))
    top = min(100, 20 * ceil((max(point["improved_30pct"] for point in points) + 10) / 20))
    x, y = Scale(0, max(1, points[-1]["visits"]), 34, WIDTH - 34), Scale(0, top, 158, 26)
    spots = [(x(point["visits"]), y(point["improved_30pct"])) for point in points]
    told = "; ".join(words["point"].format(label=point["label"], visits=number(point["visits"]),
                                           improved=number(point["improved_30pct"], 0))
                     + (" " + words["chosen"] if point["chosen"] else "") for point in points)
    return frame(
        name, words["title"].format(week=number(week)), words["desc"].format(points=told), WIDTH, 200,
        text(0, 13, words["y"].format(week=number(week)), "soft"),
        *(line(34, y(value), WIDTH - 6, y(value), "grid") for value in range(0, top + 1, 20)),
        *(text(28, y(value) + 5, value, "soft", "end") for value in range(0, top + 1, 20)),
        path(_frontier(spots), "curve"),
        *(circle(*spot, 7 if point["chosen"] else 4.5, "chosen" if point["chosen"] else "point")
          for spot, point in zip(spots, points, strict=True)),
        *_labelled(points, spots, words["mark"]),
        *(text(place, 176, number(visits), "soft", "middle") for visits, place in _spaced(points, x)),
        text((x.start + x.end) / 2, 194, words["x"], "soft", "middle"))


def _shown(row: Row) -> dict[str, str]:
    return {key: number(row[key]) for key in ("median", "low", "high")}


def _frontier(spots: Sequence[Spot]) -> list[Spot]:
    """The best reached with no more visits: the curve leaves out what another point beats."""
    best: list[Spot] = []
    for spot in spots:
        if not best or spot[1] < best[-1][1]:
            best = [*(kept for kept in best if kept[0] < spot[0]), spot]
    return best


def _spaced(points: Sequence[Row], x: Scale) -> Iterator[tuple[float, float]]:
    """Numbers of visits with room for their labels."""
    edge = 0.0
    for visits in dict.fromkeys(point["visits"] for point in points):
        if x(visits) - edge > 18:
            edge = x(visits)
            yield visits, edge


def _labelled(points: Sequence[Row], spots: Sequence[Spot], mark: str) -> Iterator[Markup]:
    """Numbers beside their points, the proposed plan first and by name; without room nothing."""
    taken: list[Box] = [(x - 8, y - 8, x + 8, y + 8) for x, y in spots]
    for k in sorted(range(len(points)), key=lambda k: not points[k]["chosen"]):
        (x, y), count = spots[k], number(points[k]["improved_30pct"], 0)
        for words in (mark.format(improved=count),) if points[k]["chosen"] else (count,):
            wide = CHARACTER * len(words)
            middle = min(max(x - wide / 2, 38), WIDTH - wide)
            right = min(x - 10, WIDTH - wide)
            places = [(middle, y - 12), (middle, y + 25), (right, y - 12), (x - wide, y + 25)]
            boxes = [(left, base - TEXT, left + wide, base + 3) for left, base in places]
            box = next((box for box in boxes if _free(box, taken)), None)
            if box:
                taken.append(box)
                yield text(box[0], box[3] - 3, words, "strong" if points[k]["chosen"] else "soft")
                break


def _free(box: Box, taken: Sequence[Box]) -> bool:
    left, top, right, bottom = box
    inside = left >= 34 and right <= WIDTH and top >= 14 and bottom <= 158
    return inside and all(right < b[0] or left > b[2] or bottom < b[1] or top > b[3] for b in taken)
