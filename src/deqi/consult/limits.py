"""What a plan for one person may not contain: what screening forbids, what they do not want, and what is not paid for.

`permits` says why a plan is not allowed, `adapt` makes the nearest plan that is. Wishes about needles and current are
rules of screening; the other wishes, and the words, stand in `rules/limits.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deqi.care import Needling, Plan
from deqi.consult.assessment import Patient
from deqi.consult.contents import busiest, contents, hours_a_week, visits_a_week
from deqi.consult.coverage import allowance
from deqi.consult.refit import LITTLE, made_safe, made_timely
from deqi.consult.rules import table
from deqi.consult.screening import Finding, Screening

TIMES = ("max_sessions", "max_weeks", "visits_per_week", "hours_per_week")


def permits(plan: Plan, screening: Screening, patient: Patient) -> tuple[str, ...]:
    """Why a plan is not allowed for a person.

    Arguments:
        plan: any plan; one without care is always allowed.
        screening: of the same patient.
        patient: whose wishes and payer count.

    Returns:
        The reasons in plain words; empty if the plan is allowed.
    """
    if not plan.courses:
        return ()
    if screening.status == "emergency":
        return (_words("refused", "emergency").format(why=screening.findings[0].text),)
    found = frozenset[str]().union(*map(contents, plan.courses))
    forbidden = bans(screening, patient)
    hit = _uncovered(key for key in forbidden if key in found)
    return tuple(dict.fromkeys([*(forbidden[key] for key in hit), *_too_much(plan, patient)]))


def adapt(plan: Plan, screening: Screening, patient: Patient) -> tuple[Plan, tuple[str, ...]]:
    """The nearest plan that is allowed.

    Arguments:
        plan: any plan.
        screening: of the same patient.
        patient: whose wishes and payer count.

    Returns:
        A plan that `permits` accepts, with notes on what was changed and why; or a plan without care, with the reasons
        why nothing of the plan can be.
    """
    reasons = permits(plan, screening, patient)
    if not reasons or screening.status == "emergency":
        return (Plan() if reasons else plan), reasons
    forbidden = bans(screening, patient)
    safe = [made_safe(course, forbidden) for course in plan.courses]
    timely, late_notes = made_timely([course for course, _ in safe if course is not None], patient)
    adapted, notes = Plan(tuple(timely)), [note for _, some in safe for note in some] + late_notes
    left = permits(adapted, screening, patient)
    if left or not adapted.courses:
        return Plan(), left or reasons
    return adapted, tuple(dict.fromkeys(notes))


def limits_of(patient: Patient, screening: Screening) -> tuple[str, ...]:
    """The limits within which a plan is made, in plain words for the person.

    Arguments:
        patient: whose wishes and payer count.
        screening: of the same patient.
    """
    if screening.status == "emergency":
        return ()
    wishes = patient.preferences
    told = [_words("limit", name).format(n=most) for name in TIMES if (most := getattr(wishes, name)) is not None]
    told += [_words("limit", name) for name in ("needles", "electro", *table("limits")["wishes"])
             if getattr(wishes, name) == "refuses"]
    wished = {key for name, key in table("limits")["wishes"].items() if getattr(wishes, name) == "refuses"}
    for key in _uncovered(key for key in table("contraindications")["forbiddable"] if key in screening.forbids):
        why = [finding for finding in screening.findings if key in finding.forbids]
        if key not in wished and not any(finding.source == "refuses" for finding in why):
            name = "unknown" if all(finding.kind == "not_asked" for finding in why) else "forbidden"
            told.append(_words("limit", name).format(what=table("contraindications")["forbiddable"][key]))
    return tuple(told + [why for why in [allowance(patient).why] if why])


def bans(screening: Screening, patient: Patient) -> dict[str, str]:
    """What no plan for a person may contain, each with the reason in plain words.

    Arguments:
        screening: of the same patient; its emergencies forbid all care, whatever stands here.
        patient: whose wishes count.
    """
    reasons: dict[str, list[str]] = {}
    for wish, key in table("limits")["wishes"].items():
        if getattr(patient.preferences, wish) == "refuses":
            reasons[key] = [_words("refused", wish)]
    for key in table("contraindications")["forbiddable"]:
        found = [finding for finding in screening.findings if key in finding.forbids]
        known = [finding for finding in found if finding.kind != "not_asked"]
        told = [_reason(finding, key) for finding in known or found]
        told += [row["text"] for row in table("contraindications")["never"] if key in row["forbids"]]
        if told:
            reasons.setdefault(key, []).extend(told)
    return {key: " ".join(dict.fromkeys(told)) for key, told in reasons.items()}


def _reason(finding: Finding, key: str) -> str:
    what = table("contraindications")["forbiddable"][key]
    if finding.kind in ("emergency", "urgent", "routine"):
        return _words("refused", "doctor").format(what=what, why=finding.text)
    if finding.kind == "not_asked":
        return _words("refused", "not_asked").format(what=what, why=finding.text.removeprefix("Not asked: "))
    return finding.text


def _too_much(plan: Plan, patient: Patient) -> Iterator[str]:
    wishes, allowed = patient.preferences, allowance(patient)
    found = {"max_sessions": plan.visits, "max_weeks": plan.end_week,
             "visits_per_week": busiest(plan.courses, visits_a_week)[0],
             "hours_per_week": busiest(plan.courses, hours_a_week)[0]}
    for name in TIMES:
        most = getattr(wishes, name)
        if most is not None and found[name] > most + LITTLE:
            yield _words("refused", name).format(n=most, found=round(found[name], 1))
    days = [day for course in plan.courses if isinstance(course, Needling) for day in course.schedule.session_days()]
    if len(days) > allowed.sessions or any(day >= allowed.days for day in days):
        yield allowed.why


def _uncovered(keys: Iterable[str]) -> list[str]:
    """Keys without those that another of them says too."""
    given, covers = list(keys), table("limits")["covers"]
    covered = {other for key in given for other in covers.get(key, ())}
    return [key for key in given if key not in covered]


def _words(part: str, name: str) -> str:
    words: str = table("limits")[part][name]
    return words
