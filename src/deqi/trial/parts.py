"""The parts of a design file: what may stand in each."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..consult.fields import choice, label, number, refuse
from ..population.patients import PHASES

OUTCOMES = ("pain", "disability")
METHODS = ("ancova", "ttest", "responders", "mixed")
LONGEST_WEEKS = 520
MOST_ARMS, MOST_LISTED = 20, 200
BLINDED = ("sham_penetrating", "sham_nonpenetrating", "placebo")
"""Kinds of context that a patient may find out."""

Week = Annotated[int, number(1, LONGEST_WEEKS, whole=True)]
Name = Annotated[str, label(60)]
Outcome = Annotated[Literal["pain", "disability"], choice(*OUTCOMES)]


def one_or_several(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise refuse("not true or false", "true | false", value)
    return value


class Section(BaseModel):
    """A part of the design file: fixed once read, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Section):
    """Whom the trial draws from: the published population of a phase, or one of another mean score.

    Attributes:
        pain_mean: observed mean at screening, NRS.
    """

    phase: Annotated[Literal["acute", "subacute", "chronic"], choice(*PHASES)] = "chronic"
    pain_mean: Annotated[float, number(1, 9)] | None = None


class PainBounds(Section):
    """Reported pain that lets a person in, NRS."""

    least: Annotated[float, number(0, 10)] | None = None
    most: Annotated[float, number(0, 10)] | None = None


class WeekBounds(Section):
    """Duration of the pain that lets a person in, weeks."""

    least: Annotated[float, number(0, 5000)] | None = None
    most: Annotated[float, number(0, 5000)] | None = None


class DisabilityBounds(Section):
    """Disability that lets a person in, 0-100."""

    least: Annotated[float, number(0, 100)] | None = None
    most: Annotated[float, number(0, 100)] | None = None


class Eligibility(Section):
    """What is asked of a candidate at screening."""

    pain: PainBounds = PainBounds()
    duration_weeks: WeekBounds = WeekBounds()
    disability: DisabilityBounds = DisabilityBounds()

    @model_validator(mode="after")
    def _somebody_fits(self) -> Self:
        for name in Eligibility.model_fields:
            bounds = getattr(self, name)
            if bounds.least is not None and bounds.most is not None and bounds.least > bounds.most:
                raise refuse("nobody can have it", f"at most {bounds.most:g}", bounds.least, (name, "least"))
        return self


class Recruitment(Section):
    """How people come: on a bad week as in published trials, or at their usual level; and the share that consents."""

    bad_week: Annotated[bool, BeforeValidator(_yes_or_no)] = True
    consent: Annotated[float, number(0.01, 1)] = 1.0


class Arm(Section):
    """One arm and its plan of care (`deqi.care.Plan` once read)."""

    id: Name
    plan: Any


class Allocation(Section):
    """How people are dealt out: permuted blocks or simple randomisation, in the ratio of the arms."""

    ratio: tuple[Annotated[int, number(1, 100, whole=True)], ...] = ()
    method: Annotated[Literal["blocks", "simple"], choice("blocks", "simple")] = "blocks"


class Blinding(Section):
    """Share of the patients on a sham or placebo who find out at its start; an open-label placebo's context works on
    them from then on."""

    found_out: Annotated[float, number(0, 1)] = 0.0


class Expectation(Section):
    """Expectation of help, 0-10, between the people of the trial."""

    mean: Annotated[float, number(0, 10)] = 5.0
    sd: Annotated[float, number(0, 10)] = 0.0


class Attrition(Section):
    """Dropping out: the hazard of a week at the baseline's pain, and the odds ratio for each NRS point above it."""

    per_week: Annotated[float, number(0, 0.5)]
    odds_per_point: Annotated[float, number(0.1, 10)] = 1.0


class Primary(Section):
    """The primary outcome, when, and how it is analysed."""

    outcome: Outcome = "pain"
    week: Week
    method: Annotated[Literal["ancova", "ttest", "responders", "mixed"], choice(*METHODS)] = "ancova"


class Contrast(Section):
    """Means over some arms versus means over others."""

    of: Annotated[tuple[Name, ...], BeforeValidator(one_or_several)] = Field(min_length=1, max_length=MOST_ARMS)
    versus: Annotated[tuple[Name, ...], BeforeValidator(one_or_several)] = Field(min_length=1, max_length=MOST_ARMS)

    @property
    def title(self) -> str:
        """The contrast in words."""
        return f"{' + '.join(self.of)} versus {' + '.join(self.versus)}"


class Responder(Section):
    """What counts as a response: a share of the baseline, or points (NRS for pain, of 100 for disability)."""

    relative: Annotated[float, number(0.01, 1)] | None = None
    absolute: Annotated[float, number(0.01, 100)] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.relative is None) == (self.absolute is None):
            raise refuse("not one rule", "relative (a share of the baseline) or absolute (points)")
        return self


class Analysis(Section):
    """How the trial is analysed.

    Attributes:
        contrasts: the first arm against each other one if none are given.
        level: two-sided.
        mixed_trials: most simulated trials to fit with a mixed model, which is slow.
    """

    primary: Primary
    contrasts: tuple[Contrast, ...] = Field(default=(), max_length=MOST_LISTED)
    responder: Responder = Responder(relative=0.3)
    level: Annotated[float, number(0.0001, 0.5)] = 0.05
    mixed_trials: Annotated[int, number(1, 5000, whole=True)] = 40
