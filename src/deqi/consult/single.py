"""`deqi forecast` for one patient: screening first, then the scores expected under one plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..care import Plan, load_plan, sentences
from ..errors import InputError
from ..population import posterior
from ..results import Result
from .assessment import Patient, load_patient, patient_of
from .forecast import DRAWS, Person, prepare
from .limits import permits
from .provenance import provenance
from .rows import as_dataset, as_frame
from .screening import applicability, screen

if TYPE_CHECKING:
    import pandas
    import xarray

MOST_WEEKS = 104
_WEEKS = re.compile(r" *[0-9]{1,4} *(, *[0-9]{1,4} *)*")


def weeks_of(text: str) -> list[int]:
    """Weeks from text such as `1,2,4,8,12`.

    Raises:
        InputError: not whole weeks from 0 to 104.
    """
    plain = _WEEKS.fullmatch(text)
    weeks = sorted({int(part) for part in text.split(",")}) if plain else []
    if not weeks or weeks[-1] > MOST_WEEKS:
        raise InputError("not a list of weeks", field="--weeks", found=text,
                         accepted=f"whole weeks from 0 to {MOST_WEEKS}, such as 1,2,4,8,12")
    return weeks


@dataclass(frozen=True)
class PersonForecast(Result):
    """A forecast for one person; `result` holds what the JSON file holds."""

    result: dict[str, Any]

    def frame(self) -> pandas.DataFrame:
        """One line for each outcome and week; none where there is no numeric forecast (`diagnostics` says why)."""
        return as_frame(self.result["forecast"], self.result["provenance"] | {"plan": self.result["plan"]})

    def dataset(self) -> xarray.Dataset:
        """Mean, spread, quantiles (`score`) and chances over (outcome, week)."""
        return as_dataset(self.frame())

    def __str__(self) -> str:
        return "\n".join(lines(self.result))


def forecast(patient: Patient | Mapping[str, Any] | str | Path, plan: object,
             weeks: Sequence[int] = (1, 2, 4, 8, 12), *, seed: int = 1, draws: int = DRAWS) -> PersonForecast:
    """Forecast reported pain and disability of one person under one plan.

    Arguments:
        patient: an assessment, the path of a patient file, or what would stand in one.
        plan: a sentence, a plan file, a list of courses, or `nothing`.
        weeks: from now, whole weeks from 0 to 104.
        seed: of every random number.
        draws: particles.

    Raises:
        InputError: a patient, plan or week that is not accepted.
    """
    asked = weeks_of(",".join(map(str, weeks)))
    return PersonForecast(forecast_patient(patient_of(patient), load_plan(plan), asked, seed=seed, draws=draws))


def forecast_file(path: Path, plan: str, weeks: Sequence[int], *, seed: int) -> dict[str, Any]:
    """Forecast for a patient file under a plan in words or in a file."""
    return forecast_patient(load_patient(path), load_plan(plan), weeks, seed=seed)


def forecast_patient(patient: Patient, plan: Plan, weeks: Sequence[int], *, seed: int, draws: int = DRAWS,
                     person: Person | None = None) -> dict[str, Any]:
    """Forecast for one patient, as the interface has it.

    An emergency, or a person outside what was studied, gets no numbers, and the reason.

    Arguments:
        patient: the assessment.
        plan: the plan.
        weeks: from now.
        seed: of every random number.
        draws: particles.
        person: the patient made ready with that seed and those particles, if that has been done.
    """
    screening, extent = screen(patient), applicability(patient)
    found: dict[str, Any] = {
        "id": patient.id, "plan": sentences(plan), "forecast": [], "screening": screening.as_json(),
        "diagnostics": {"applicability": extent.status, "reasons": list(extent.reasons),
                        "calibration": posterior.status()},
        "provenance": provenance(seed, draws),
    }
    if screening.status == "emergency":
        found["diagnostics"]["reasons"] = ["screening found an emergency: see a doctor now; no forecast is made"]
        return found
    if extent.status == "outside":
        return found
    person = person or prepare(patient, extent, draws=draws, seed=seed)
    forecast = person.forecast(plan, max(max(weeks), 1))
    found["forecast"] = forecast.rows(weeks)
    found["diagnostics"] |= {"draws": draws, "not_allowed": list(permits(plan, screening, patient)),
                             **person.conditioning(),
                             "variance": [forecast.split(week) for week in weeks if week]}
    return found


def lines(found: dict[str, Any]) -> list[str]:
    """The forecast in plain lines for the terminal."""
    status = found["screening"]["status"]
    told = [f"  {finding['text']}" for finding in found["screening"]["findings"] if finding["kind"] != "not_asked"]
    head = [f"screening: {status}", *told[:6]]
    if not found["forecast"]:
        return [*head, "no numeric forecast: " + "; ".join(found["diagnostics"]["reasons"])]
    not_allowed = found["diagnostics"]["not_allowed"]
    if not_allowed:
        head.append(f"NOT A PLAN FOR THIS PERSON: {' '.join(not_allowed)}")
    rows = [f"plan: {'; '.join(found['plan']) or 'no further treatment'}",
            "week  outcome   mean   80 % range    30 % better   important change"]
    for row in found["forecast"]:
        low, high = row["quantiles"]["0.1"], row["quantiles"]["0.9"]
        rows.append(f"{row['week']:>4}  {row['outcome']:<7} {row['mean']:>6.1f}   {low:>4.1f} to {high:>4.1f}"
                    f"   {100 * row['p_improved_30pct']:>5.0f} of 100   {100 * row['p_mic']:>5.0f} of 100")
    if found["diagnostics"]["degenerate"]:
        rows.append("The earlier scores fit the care given so poorly that this forecast is too sure of itself.")
    state = found["diagnostics"]["calibration"]
    return [*head, *rows, f"{state[0].upper()}{state[1:]}. Research software, not a medical device."]
