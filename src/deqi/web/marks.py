"""Marks, keys, ticks and names that the web's figures share; each kind of mark has a shape of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from markupsafe import Markup

from ..consult.figures import CHARACTER, TEXT, WIDTH
from ..consult.svg import Scale, Spot, circle, group, line, path, text

Box = tuple[float, float, float, float]
LONGEST = 14
"""Characters of a name beside its mark; the description has it in full."""

SHAPES = {"inside": "own", "above": "beyond", "below": "beyond", "outside_95": "beyond", "outside_998": "beyond",
          "published": "published"}
"""The class of each kind of mark."""


def mark(kind: str, x: float, y: float, up: bool = True) -> Markup:
    """One mark, told by its shape: a circle, a triangle up or down, a square, a diamond."""
    named = SHAPES[kind]
    if kind == "inside":
        return circle(x, y, 4.5, named)
    if kind == "published":
        return path([(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)], named, closed=True)
    if kind == "outside_95":
        return path([(x - 5, y - 5), (x + 5, y - 5), (x + 5, y + 5), (x - 5, y + 5)], named, closed=True)
    tip = 7 if kind == "below" or not up else -7
    return path([(x, y + tip), (x + 6.5, y - tip * 0.7), (x - 6.5, y - tip * 0.7)], named, closed=True)


def keys(kinds: Sequence[tuple[str, str]], base: float) -> tuple[list[Markup], float]:
    """What the marks mean, in lines that hold them; and the height that the figure needs."""
    drawn, left = [], 8.0
    for kind, label in kinds:
        wide = 20 + CHARACTER * len(label)
        if left > 8 and left + wide > WIDTH:
            left, base = 8.0, base + 21
        drawn.append(group("keys", _key(kind, left, base - 5), text(left + 14, base, label, "soft")))
        left += wide + 16
    return drawn, base + 8


def _key(kind: str, x: float, y: float) -> Markup:
    if kind == "review":
        return line(x, y - 9, x, y + 9, "review")
    if kind == "here":
        return group("here", line(x - 5, y, x + 5, y, "range"), circle(x, y, 5, "middle"))
    if kind == "bound":
        return group("bound", line(x - 6, y, x + 6, y, "upper"), line(x + 6, y - 6, x + 6, y + 6, "upper"))
    return mark(kind, x, y)


def weeks(last: float, x: Scale) -> Iterator[tuple[float, float]]:
    """Weeks to write under the axis: every second to twelfth, and the last."""
    step = next(step for step in (1, 2, 4, 6, 12, 26, 52) if last / step <= 7 or step == 52)
    for week in [*(k * step for k in range(ceil(last / step)) if last - k * step > step / 2), last]:
        yield week, x(week)


def whole(most: float) -> list[int]:
    """Three to six whole numbers from 0 on, evenly apart."""
    step = next((step * 10**power for power in range(6) for step in (1, 2, 5) if most / (step * 10**power) <= 5),
                10**6)
    return list(range(0, int(most) + 1, step))


def ceiling(value: float) -> float:
    """The next number that divides into four well."""
    return next(step * 10.0**power for power in range(-3, 4) for step in (1, 2, 4, 6, 8) if value <= step * 10.0**power)


def wrapped(parts: Sequence[str], wide: float) -> Iterator[str]:
    """Words in lines that fit."""
    for part in parts:
        held = ""
        for word in part.split():
            if held and CHARACTER * len(f"{held} {word}") > wide:
                yield held
                held = word
            else:
                held = f"{held} {word}".strip()
        yield held


def apart(labels: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Labels at one edge, moved up where they would touch the one below."""
    placed: list[tuple[float, str]] = []
    for base, label in sorted(labels, reverse=True):
        placed.append((min(base, placed[-1][0] - TEXT) if placed else base, label))
    return placed


def named(labels: Sequence[str], spots: Sequence[Spot], inside: Box) -> Iterator[Markup]:
    """Names beside their marks, those of the largest groups first; without room nothing."""
    taken: list[Box] = [(x - 7, y - 8, x + 7, y + 8) for x, y in spots]
    for whole_label, (x, y) in reversed(list(zip(labels, spots, strict=True))):
        label = whole_label if len(whole_label) <= LONGEST else f"{whole_label[:LONGEST - 1].rstrip()}…"
        wide = CHARACTER * len(label)
        for left, base in ((x - wide - 10, y + 5), (x + 10, y + 5), (x - wide / 2, y - 12), (x - wide / 2, y + 22)):
            box = (left, base - 12, left + wide, base + 3)
            free = all(box[2] < b[0] or box[0] > b[2] or box[3] < b[1] or box[1] > b[3] for b in taken)
            if free and box[0] >= inside[0] and box[1] >= inside[1] and box[2] <= inside[2] and box[3] <= inside[3]:
                taken.append(box)
                yield text(left, base, label, "name")
                break
