"""What the processes of the engine do: jobs on plain data, with the persons and plans of the day kept at hand."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from ..care import Plan, plan_from
from ..consult.assessment import Patient, parse_patient
from ..consult.consultation import consult as run_consultation
from ..consult.forecast import DRAWS, Forecast, Person, prepare
from ..consult.harms import plan_kinds
from ..consult.limits import limits_of, permits
from ..consult.options import Judged, compare, described, table
from ..consult.provenance import provenance
from ..consult.review import review_now, review_rules
from ..consult.screening import Applicability, Screening, applicability, screen
from ..consult.single import forecast_patient, weeks_of
from ..errors import InputError
from ..population.trajectories import run
from .explain import explain as run_session

SEED = 1
PARTICLES = 256
"""Particles of one person on a page; a consultation takes three times as many."""
PERSONS, PLANS = 64, 128
"""How many are kept."""
MOST = {"seed": (0, 2**32 - 1), "draws": (64, 4096), "patients": (1, 10_000), "weeks": (1, 104)}
MOST_PATIENT_WEEKS = 240_000
"""Of one simulation, patients times weeks: a quarter of a minute of one core; more is for `deqi simulate`."""

Given = Mapping[str, Any]


class Kept:
    """The results used last, by key."""

    def __init__(self, size: int):
        self._size, self._held = size, OrderedDict[Any, Any]()

    def clear(self) -> None:
        """Keep nothing."""
        self._held.clear()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """The result of a key, made if it is not there."""
        if key not in self._held:
            self._held[key] = make()
            if len(self._held) > self._size:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key]


_persons, _plans = Kept(PERSONS), Kept(PLANS)


@dataclass(frozen=True)
class Case:
    """A patient made ready: screened, and a person to forecast where that may be.

    Arguments:
        key: stands for the patient's file; not to be logged.
        patient, screening, extent: as read.
        reasons: why there is no numeric forecast; empty if there is.
    """

    key: str
    patient: Patient
    screening: Screening
    extent: Applicability
    reasons: tuple[str, ...]

    @cached_property
    def person(self) -> Person:
        """The patient's particles."""
        return prepare(self.patient, self.extent, draws=PARTICLES, seed=SEED)

    @cached_property
    def yardstick(self) -> Forecast:
        """What no further treatment leads to."""
        return self.person.forecast(Plan(), table()["horizon_weeks"])

    @cached_property
    def fixed(self) -> list[dict[str, Any]]:
        """The options that everybody is shown."""
        return [described(option, self.yardstick, self.patient) for option in compare(self.person, self.screening)]

    @cached_property
    def nothing(self) -> dict[str, Any]:
        """No further treatment, as an option."""
        row = next(row for row in table()["options"] if row["id"] == "nothing")
        option = Judged("nothing", row["label"], Plan(), self.yardstick, None, row["experience"])
        return described(option, self.yardstick, self.patient)


def case(patient: Given) -> Case:
    """A patient made ready, or kept from before."""
    key = sha256(json.dumps(patient, sort_keys=True).encode()).hexdigest()

    def make() -> Case:
        known = parse_patient(patient)
        screening, extent = screen(known), applicability(known)
        reasons: tuple[str, ...] = ()
        if screening.status == "emergency":
            reasons = tuple(found.text for found in screening.findings if found.kind == "emergency")
        elif extent.status == "outside":
            reasons = extent.reasons
        return Case(key, known, screening, extent, reasons)

    found: Case = _persons.get(key, make)
    return found


def options(patient: Given, plan: Sequence[str] | None) -> dict[str, Any]:
    """The fixed options and, if given, a plan; see `Engine.options`."""
    of = case(patient)
    found: dict[str, Any] = {
        "options": [], "reasons": list(of.reasons), "review": [], "screening": of.screening.as_json(),
        "applicability": asdict(of.extent), "limits": list(limits_of(of.patient, of.screening)), "conditioning": None,
    }
    mine = None if plan is None else _yours(of, plan_from(list(plan)))
    if of.reasons:
        return found
    found |= {"options": list(of.fixed), "conditioning": of.person.conditioning()}
    if mine is not None:
        found["options"].append(mine["option"])
        found["review"] = mine["review"]
    return found


def get_ready(patient: Given, plan: Sequence[str]) -> None:
    """Have at hand what `options` and `plan_option` tell."""
    options(patient, None)
    plan_option(patient, plan)


def plan_option(patient: Given, plan: Sequence[str]) -> dict[str, Any]:
    """One plan beside no further treatment; see `Engine.plan_option`."""
    of = case(patient)
    mine = _yours(of, plan_from(list(plan)))
    return {**mine, "nothing": None if of.reasons else of.nothing, "reasons": list(of.reasons),
            "provenance": provenance(SEED, PARTICLES)}


def _yours(of: Case, plan: Plan) -> dict[str, Any]:
    """A plan as the option `yours`, with its rules of review; kept."""
    if of.reasons:
        return {"option": None, "review": []}

    def make() -> dict[str, Any]:
        refused = permits(plan, of.screening, of.patient)
        forecast = None if refused else of.person.forecast(plan, table()["horizon_weeks"])
        option = Judged("yours", "This plan", plan, forecast, " ".join(refused) or None, _experience(plan))
        return {"option": described(option, of.yardstick, of.patient),
                "review": review_rules(plan, forecast) if forecast is not None and plan.courses else []}

    found: dict[str, Any] = _plans.get((of.key, plan), make)
    return found


def _experience(plan: Plan) -> str:
    """What the parts of a plan are like."""
    told = []
    for row in table()["options"]:
        found = [course for course in plan.courses if set(plan_kinds(Plan((course,)))) & set(row["kinds"])]
        alone = found and not any(course.with_practitioner for course in found)
        if found or (row["id"] == "nothing" and not plan.courses):
            told.append(row.get("experience_at_home", row["experience"]) if alone else row["experience"])
    return " ".join(told)


def forecast(patient: Given, plan: Any, weeks: Sequence[int], seed: int, draws: int | None) -> dict[str, Any]:
    """As `deqi forecast --json`."""
    asked, seed = weeks_of(",".join(map(str, weeks))), _whole("seed", seed)
    draws = DRAWS if draws is None else _whole("draws", draws)
    of = case(patient) if (seed, draws) == (SEED, PARTICLES) else None
    return forecast_patient(parse_patient(patient), plan_from(plan), asked, seed=seed, draws=draws,
                            person=None if of is None or of.reasons else of.person)


def simulate(plan: Any, patients: int, population: str, baseline: float | None, weeks: int, without: Sequence[str],
             seed: int) -> dict[str, Any]:
    """As `deqi simulate --json`."""
    if _whole("patients", patients) * _whole("weeks", weeks) > MOST_PATIENT_WEEKS:
        raise InputError("too many for so many weeks", field="patients", found=patients,
                         accepted=f"at most {MOST_PATIENT_WEEKS // weeks:,} patients over {weeks} weeks")
    return run(plan_from(plan), patients=_whole("patients", patients), population=population, baseline=baseline,
               weeks=_whole("weeks", weeks), without=without, seed=_whole("seed", seed)).as_json()


def consult(patient: Given, seed: int) -> dict[str, Any]:
    """As `deqi consult --json`."""
    return run_consultation(parse_patient(patient), seed=_whole("seed", seed)).result


def review(patient: Given) -> dict[str, Any] | None:
    """Whether to go on with the care that runs; see `Engine.review`."""
    of = case(patient)
    return None if of.reasons else review_now(of.person, of.screening)


def forget() -> None:
    """Keep nothing of anybody."""
    _persons.clear()
    _plans.clear()


def explain(**choices: Any) -> dict[str, Any]:
    """One session, theory by theory."""
    return run_session(choices)


def _whole(name: str, value: Any) -> int:
    low, high = MOST[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError("out of range", field=name, found=value, accepted=f"a whole number from {low} to {high:,}")
    return value


SOMEBODY: dict[str, Any] = {"age": 50, "pain": {"week_average": 6, "duration_weeks": 200},
                            "disability": {"instrument": "RMDQ", "score": 11}, "medicines": [],
                            "conditions": {"pacemaker": False, "bleeding_disorder": False, "pregnancy": False}}
NEEDLES = "acupuncture 30 min twice a week for 6 weeks"
MUCH = ["acupuncture 45 min 20 sessions over 20 weeks", "walking 30 min 5 times a week for 12 weeks"]


def _somebody(**changed: Any) -> dict[str, Any]:
    return {"patient": SOMEBODY | changed}


def warm() -> None:
    """Do once what a first forecast needs: read the tables, compile the solver in the sizes that plans take."""
    options(_somebody(), [NEEDLES])
    plan_option(_somebody(), MUCH)


PAST = _somebody(scores=[{"week": -6, "outcome": "NRS", "value": 7}], care_so_far=[{"start_week": -6, "plan": MUCH}])
YEARS = _somebody(scores=[{"week": -52, "outcome": "NRS", "value": 7}])
STEPS: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
    (explain, {"minutes": 30}), (explain, {"minutes": 60}), (review, {"patient": PAST}),
    (plan_option, {"patient": PAST, "plan": MUCH}),
    (plan_option, {"patient": _somebody(pain={"week_average": 6}), "plan": [NEEDLES]}),
    (plan_option, {"patient": _somebody(care_so_far=[{"start_week": -6, "plan": NEEDLES}]), "plan": [NEEDLES]}),
    (forecast, {"patient": _somebody(), "plan": NEEDLES, "weeks": [12], "seed": SEED, "draws": None}),
    (plan_option, {"patient": YEARS, "plan": MUCH}),
)
"""What else people need, for idle moments: another duration, another past, another room of the web."""


def get_warmer(step: int) -> bool:
    """Take a step of getting warm; whether another one follows."""
    job, arguments = STEPS[step]
    job(**arguments)
    return step + 1 < len(STEPS)


JOBS: Mapping[str, Callable[..., Any]] = {
    "options": options, "get_ready": get_ready, "plan_option": plan_option, "forecast": forecast, "simulate": simulate,
    "review": review, "consult": consult, "explain": explain, "forget": forget, "get_warmer": get_warmer,
}
