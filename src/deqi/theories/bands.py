"""The band a published number allows: the rules of `bands.yaml`, and the register of bands first written down."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..care.course import nearest_hint
from ..errors import InputError

if TYPE_CHECKING:
    from .experiment import Experiment

REGISTER = Path(__file__).with_name("bands.lock.json")
ROUNDING = 1e-6
POSITIVE = frozenset({"n", "sd", "se", "spread", "before", "after", "sd_before", "sd_after"})


@dataclass(frozen=True)
class Band:
    """What counts as within and as near; None is no bound on that side."""

    low: float | None
    high: float | None
    near_low: float | None
    near_high: float | None

    def verdict(self, value: float) -> str:
        """`within`, `near` or `outside`; a value that could not be formed is outside."""
        if _inside(value, self.low, self.high):
            return "within"
        return "near" if _inside(value, self.near_low, self.near_high) else "outside"

    @property
    def required(self) -> list[float | None]:
        """[low, high]."""
        return [self.low, self.high]

    @property
    def near(self) -> list[float | None]:
        """The wider band."""
        return [self.near_low, self.near_high]


def _inside(value: float, low: float | None, high: float | None) -> bool:
    """Within the bounds, up to rounding; what outlasts every watch (infinite) is above any bound."""
    if math.isnan(value):
        return False
    return (low is None or value >= low - ROUNDING * max(1.0, abs(low))) and (
        high is None or value <= high + ROUNDING * max(1.0, abs(high)))


@cache
def rules() -> dict[str, Any]:
    """The table of rules, `bands.yaml`."""
    import yaml

    return yaml.load(Path(__file__).with_name("bands.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


def band(rule: str | None, published: Mapping[str, float], required: list[float | None] | None,
         near: list[float | None] | None) -> Band:
    """The band of an experiment.

    Arguments:
        rule: a name in `bands.yaml`; None where `required` is written out.
        published: what was printed, under the names that the rule takes.
        required: the band itself, where the file gives it.
        near: the wider band, where the file gives it.

    Raises:
        InputError: an unknown rule, a number the rule needs and lacks, or a band upside down.
    """
    if rule is not None and (not isinstance(rule, str) or rule not in rules()["rules"]):
        raise InputError("no such rule", field="rule", found=str(rule)[:60],
                         accepted=", ".join(rules()["rules"]) + nearest_hint(rule, rules()["rules"]))
    row: Mapping[str, Any] = rules()["rules"][rule] if rule else {}
    if required is not None and rule not in (None, "dossier"):
        raise InputError("a band that is written out takes no rule", field="rule", found=rule,
                         accepted="required or a rule, not both")
    if required is None:
        required = row.get("required") or _computed(rule, row, published)
    low, high = required
    if (low is None and high is None) or (low is not None and high is not None and low >= high):
        raise InputError("not a band", field="required", found=str(required), accepted="[low, high], one may be null")
    centre = None if low is None or high is None else published.get("value", 0.5 * (low + high))
    near_low, near_high = near or _wider(low, high, centre)
    if (near_low is None) != (low is None) or (near_high is None) != (high is None) or any(
            inner is not None and outer is not None and outer > inner
            for outer, inner in ((near_low, low), (high, near_high))):
        raise InputError("narrower than required", field="near", found=str(near),
                         accepted="a wider band, or leave it out")
    return Band(low, high, near_low, near_high)


def _computed(rule: str | None, row: Mapping[str, Any], published: Mapping[str, float]) -> list[float | None]:
    if rule is None or "from" not in row:
        raise InputError("no band", field="required", accepted="required: [low, high], or a rule with what it takes")
    needed = [*([] if {"before", "smd"} & set(row["from"]) else ["value"]), *row["from"]]
    for name in needed:
        if name not in published:
            raise InputError(f"rule '{rule}' needs it", field=f"published.{name}",
                             found=", ".join(published) or None, accepted="published: {" + ", ".join(
                                 f"{name}: ..." for name in needed) + "}")
        if name in POSITIVE and published[name] <= 0:
            raise InputError("not above 0", field=f"published.{name}", found=published[name],
                             accepted="a number above 0")
    for name in published:
        if name not in {*needed, "value", "n"}:
            raise InputError(f"rule '{rule}' does not take it", field=f"published.{name}", accepted=", ".join(needed)
                             + nearest_hint(name, needed))
    p = published
    if rule == "smd":
        return [round(p["low"] * row["sd_nrs"], 4), round(p["high"] * row["sd_nrs"], 4)]
    if {"low", "high"} <= set(row["from"]):
        return [p["low"], p["high"]]
    if rule == "paired":
        a, b = p["sd_after"] / p["after"], p["sd_before"] / p["before"]
        ratio = p["after"] / p["before"]
        se = ratio * math.sqrt((a * a + b * b - 2 * row["correlation"] * a * b) / p["n"])
        value, half = 100 * (ratio - 1), 100 * row["factor"] * se
    else:
        value = p["value"]
        half = {
            "se": lambda: row["factor"] * p["se"],
            "unnamed": lambda: row["factor"] * p["spread"],
            "sd": lambda: row["factor"] * p["sd"] / math.sqrt(p["n"]),
            "size": lambda: row["share"] * abs(value),
            "single_run": lambda: max(row["share"] * abs(value), row["floor"]),
        }[rule]()
    return [round(value - half, 4), round(value + half, 4)]


def _wider(low: float | None, high: float | None, centre: float | None) -> tuple[float | None, float | None]:
    near = rules()["near"]
    if low is not None and high is not None and centre is not None:
        f = near["factor"]
        return round(centre + f * (low - centre), 4), round(centre + f * (high - centre), 4)
    share = near["one_sided_share"]
    return (None if low is None else round(low - share * abs(low), 4),
            None if high is None else round(high + share * abs(high), 4))


@cache
def register() -> dict[str, list[Any]]:
    """Experiment id to [required, near, digest of the question] as first written down.

    Raises:
        InputError: the register is not the one that its own hash names.
    """
    held = json.loads(REGISTER.read_text(encoding="utf-8"))
    if _digest(held["bands"]) != held["sha256"]:
        raise InputError("the register of bands was altered", file=REGISTER.name, accepted="the bands first written")
    return held["bands"]


def registered(experiment: Experiment) -> str:
    """`as registered`, `changed` since it was registered, or `not registered` (an experiment from elsewhere)."""
    first = register().get(experiment.id)
    if first is None:
        return "not registered"
    return "as registered" if first[:2] == [experiment.band.required, experiment.band.near] else "changed"


def question_changed(experiment: Experiment) -> bool:
    """Whether what is done, read or asked, or its use, is other than when its band was registered."""
    first = register().get(experiment.id)
    return first is not None and first[2] != question_digest(experiment)


def question_digest(experiment: Experiment) -> str:
    """A short hash of all that decides an experiment's number, and of its use."""
    return sha256(f"{experiment.use} {experiment.asked}".encode()).hexdigest()[:12]


def withdrawn(experiments: Iterable[Experiment]) -> list[str]:
    """Registered experiments that are no longer among these."""
    return sorted(set(register()) - {e.id for e in experiments})


def write_register(experiments: Iterable[Experiment]) -> int:
    """Add experiments that the register does not know; what it knows stays as it is.

    Returns:
        how many were added.
    """
    held = json.loads(REGISTER.read_text(encoding="utf-8"))["bands"] if REGISTER.exists() else {}
    new = {e.id: [e.band.required, e.band.near, question_digest(e)] for e in experiments if e.id not in held}
    bands = dict(sorted((held | new).items()))
    rows = ",\n".join(f"  {json.dumps(id)}: {json.dumps(row)}" for id, row in bands.items())
    REGISTER.write_text(f'{{"sha256": "{_digest(bands)}",\n "bands": {{\n{rows}\n}}}}\n', encoding="utf-8")
    return len(new)


def _digest(bands: Mapping[str, Any]) -> str:
    return sha256(json.dumps(bands, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    from .experiment import shipped

    if sys.argv[1:] == ["--register"]:
        print(f"{write_register(shipped())} bands added to {REGISTER.name}")
    else:
        print("python -m deqi.theories.bands --register   adds new experiments to the register; changes nothing in it")
