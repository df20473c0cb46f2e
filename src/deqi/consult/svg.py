"""Marks for inline SVG: a scale, lines, bars, dots, words, and the frame that names them for a screen reader.

A mark carries a class and no colour; the style sheet colours it. Every argument is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from deqi.consult.wording import number

Spot = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """A straight line from values to places on the page; values outside are drawn at its ends."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + min(1.0, max(0.0, share)) * (self.end - self.start), 1)


def frame(name: str, title: str, desc: str, width: float, height: float, *drawn: Markup) -> Markup:
    """Put marks into a figure with a title and a description.

    Arguments:
        name: unique on the page; the ids of title and description begin with it.
        title, desc: what a screen reader says.
        width, height: of the view box; the page scales it.
        drawn: the marks, the lowest first.
    """
    return Markup('<svg viewBox="0 0 {w} {h}" role="img" aria-labelledby="{n}-title {n}-desc">'
                  '<title id="{n}-title">{title}</title><desc id="{n}-desc">{desc}</desc>{drawn}</svg>'
                  ).format(w=number(width), h=number(height), n=name, title=title, desc=desc,
                           drawn=Markup("").join(drawn))


def group(kind: str, *drawn: Markup) -> Markup:
    return Markup('<g class="{}">{}</g>').format(kind, Markup("").join(drawn))


def text(x: float, y: float, words: object, kind: str = "", anchor: str = "start") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>').format(
        number(x), number(y), anchor, kind, words)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(
        *(number(place) for place in (x1, y1, x2, y2)), kind)


def rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>').format(
        *(number(place) for place in (x, y, width, height)), kind)


def circle(x: float, y: float, radius: float, kind: str) -> Markup:
    return Markup('<circle cx="{}" cy="{}" r="{}" class="{}"/>').format(
        *(number(place) for place in (x, y, radius)), kind)


def path(spots: Sequence[Spot], kind: str, closed: bool = False) -> Markup:
    steps = "L".join(f"{number(x)} {number(y)}" for x, y in spots)
    return Markup('<path d="M{}" class="{}"/>').format(steps + ("Z" if closed else ""), kind)


def person(kind: str, x: float, y: float) -> Markup:
    """One of a hundred people: a dot, a dot with a plus, a ring or a triangle, so that shape alone tells."""
    if kind == "worse":
        return Markup('<path d="M{} {}l4.6 8.2h-9.2z"/>').format(number(x), number(y - 4.6))
    radius = {"anyway": 4, "extra": 4.8}.get(kind, 3.2)
    dot = Markup('<circle cx="{}" cy="{}" r="{}"/>').format(number(x), number(y), number(radius))
    if kind != "extra":
        return dot
    return dot + Markup('<path d="M{} {}h5.6M{} {}v5.6"/>').format(
        *(number(place) for place in (x - 2.8, y, x, y - 2.8)))
