"""A trial as deqi sees it: arms, who they were at the start, and what was observed, all on 0-100, higher is worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["acute", "subacute", "chronic", "mixed"]
Statistic = Literal["mean", "median", "change", "percent_change", "sd", "change_sd", "difference", "responders"]


@dataclass(frozen=True)
class Scale:
    """An instrument's range in its own units and its direction, and the way to 0-100, higher is worse, and back."""

    low: float
    high: float
    higher_is_worse: bool

    @property
    def sign(self) -> float:
        """1.0 where higher is worse, -1.0 where higher is better."""
        return 1.0 if self.higher_is_worse else -1.0

    def level(self, own: float) -> float:
        """A score to 0-100."""
        share = self.width(own - self.low)
        return share if self.higher_is_worse else 100.0 - share

    def shift(self, own: float) -> float:
        """A change or difference of scores to points of 100; negative is improvement."""
        return self.sign * self.width(own)

    def width(self, own: float) -> float:
        """A spread to points of 100."""
        return 100.0 * own / (self.high - self.low)

    def own_level(self, level: Any) -> Any:
        """0-100 back to a score."""
        return self.low + self.own_width(level if self.higher_is_worse else 100.0 - level)

    def own_width(self, points: Any) -> Any:
        """Points of 100 back to a spread in own units."""
        return points * (self.high - self.low) / 100.0


@dataclass(frozen=True)
class Arm:
    """A group of a trial.

    Arguments:
        id, label: as in the file.
        n: people randomised to it or analysed in it, if stated.
        interventions: what they got, as in the file.
    """

    id: str
    label: str
    n: int | None
    interventions: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Baseline:
    """A score at enrolment, 0-100, and its spread between people, if stated."""

    mean: float
    sd: float | None


@dataclass(frozen=True)
class Responder:
    """When a person counts as a responder; one of the three thresholds holds.

    Arguments:
        domain: of the score.
        relative: share of the own baseline by which it falls, 0-1.
        absolute: points of 100 by which it falls.
        level: final level, 0-100, that it is below.
    """

    domain: Literal["pain", "disability"]
    relative: float | None = None
    absolute: float | None = None
    level: float | None = None


@dataclass(frozen=True)
class Observation:
    """One number that a trial reports, or would report.

    Arguments:
        arm: id of the arm.
        versus: id of the arm it is compared with, for a difference.
        outcome: the measure's name as in the file; `measures.measure` knows it.
        instrument, domain: what that is to deqi.
        week: weeks after enrolment.
        statistic: what the value is.
        value: on 0-100, higher is worse. A change is negative when it is an improvement, a percent change is in
            percent of the baseline, a difference is arm minus versus, a share of responders is 0-1. None where the
            file leaves it out.
        se: standard error of the value, in its units, if known.
        n: people behind it: as stated, else the arm's, else an equal share of those randomised.
        rule: of a share of responders.
        scale: the instrument's range and direction in the file.
        momentary: pain of a moment (within three days of the start, or around a session), not a week's average.
    """

    arm: str
    versus: str | None
    outcome: str
    instrument: str
    domain: Literal["pain", "disability"]
    week: float
    statistic: Statistic
    value: float | None
    se: float | None
    n: int | None
    rule: Responder | None
    scale: Scale
    momentary: bool = False

    @property
    def low(self) -> float:
        """Lowest score, own units."""
        return self.scale.low

    @property
    def high(self) -> float:
        """Highest score, own units."""
        return self.scale.high

    @property
    def higher_is_worse(self) -> bool:
        """Direction of the instrument."""
        return self.scale.higher_is_worse

    def to_own(self, value: Any) -> Any:
        """Turn a value of this observation's statistic back into the file's units and direction.

        Arguments:
            value: as `self.value`, a number or an array; shares become percent.
        """
        if self.statistic in ("mean", "median"):
            return self.scale.own_level(value)
        if self.statistic in ("change", "difference"):
            return self.scale.sign * self.scale.own_width(value)
        if self.statistic in ("sd", "change_sd"):
            return self.scale.own_width(value)
        return 100.0 * value if self.statistic == "responders" else self.scale.sign * value


@dataclass(frozen=True)
class Trial:
    """A trial: what was done to whom, and what came of it.

    Arguments:
        id: the file's id.
        source: the citation in one line.
        phase: acute, subacute, chronic or mixed.
        duration_weeks: mean or median duration of the pain at enrolment, if printed.
        entry_nrs: least pain asked for at entry, 0-10, if stated.
        randomised, crossover: design, as far as the notes tell.
        radicular: whether leg pain of nerve origin was allowed; None where it is not said.
        outside: why the people lie outside deqi's population, or None.
        age_mean, female_pct, n_randomised: where stated.
        arms: the groups.
        baselines: by arm id and measure name.
        observations: all that deqi can compare with what it computes.
        unused: what is not used, each with its reason.
    """

    id: str
    source: str
    phase: Phase
    duration_weeks: float | None
    entry_nrs: float | None
    randomised: bool
    crossover: bool
    radicular: bool | None
    outside: str | None
    age_mean: float | None
    female_pct: float | None
    n_randomised: int | None
    arms: tuple[Arm, ...]
    baselines: Mapping[tuple[str, str], Baseline]
    observations: tuple[Observation, ...]
    unused: tuple[tuple[str, str], ...]


@dataclass
class Found:
    """What the readers of a file's parts have found so far."""

    observations: list[Observation] = field(default_factory=list)
    baselines: dict[tuple[str, str], Baseline] = field(default_factory=dict)
    unused: list[tuple[str, str]] = field(default_factory=list)

    def leave_out(self, what: object, reason: str) -> None:
        """Note what is not used, and why."""
        self.unused.append((str(what), reason))
