"""The letter to whoever goes on with the care: a referral where screening asks for a doctor, else a hand-over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deqi.care import Needling, Plan, sentences
from deqi.consult.rules import table
from deqi.consult.wording import duration, number, plain, texts
from deqi.tables import shipped

HERE = Path(__file__).parent
Result = Mapping[str, Any]


def words() -> dict[str, Any]:
    """Return the fixed words of the letter, `letter.yaml`."""
    return shipped(HERE / "letter.yaml")


def practitioner() -> dict[str, Any]:
    """Return who is qualified to needle and what to ask them, each line with its source, `practitioner.yaml`."""
    return shipped(HERE / "practitioner.yaml")


def letter(result: Result) -> dict[str, Any]:
    """Return the letter that goes with a consultation; no names, blanks instead.

    Arguments:
        result: the consultation, as `deqi consult --json` writes it.

    Returns:
        `kind` (`referral` or `hand_over`), `title`, `request`, `blanks` to fill in by hand, `about` (the label of the
        patient file), `date`, `sections` (each a `heading` with `lines`, or with `fields` for the prescription), and
        `device`, what kind of software wrote it.
    """
    w, status = words(), result["screening"]["status"]
    kind = "referral" if status in ("emergency", "refer") else "hand_over"
    requests = w[kind]["request"]
    return {
        "kind": kind, "title": w[kind]["title"], "request": requests.get(status) or requests["any"],
        "blanks": list(w["blanks"]), "blank": w["blank"],
        "about": result["patient"].get("id"), "date": result["provenance"]["date"],
        "sections": [section for section in _sections(result) if section.get("lines") or section.get("fields")],
        "device": w["device"],
    }


def needling_of(plan: Plan) -> dict[str, Any]:
    """Return the needling of a plan with the STRICTA fields; what is not stated is left to the practitioner."""
    needling = next((c for c in plan.courses if isinstance(c, Needling)), None)
    if needling is None:
        return {}
    left = "left to the practitioner"
    return {
        "style": needling.style or left,
        "reasoning": needling.reasoning or "what trials used and the answers allow; why it may work is a hypothesis",
        "variation": "points, number of needles and depth by what the practitioner finds",
        "setting": needling.setting or left, "comparator": "no further treatment, in the forecast",
        "points": f"{', '.join(needling.points)} (classes; names: {', '.join(needling.point_names) or left})",
        "insertions_per_session": needling.insertions or left,
        "depth": f"{needling.depth:g} mm" if isinstance(needling.depth, float) else needling.depth or "none",
        "response_sought": "de qi" if needling.de_qi else "none", "stimulation": needling.mode,
        "retention_minutes": f"{needling.retention_minutes:g}", "needle": needling.needle_type or left,
        "sessions": needling.schedule.sessions,
        "frequency": f"{needling.schedule.times_per_week:g} a week for {needling.schedule.weeks:g} weeks",
        "other_interventions": "; ".join(s for s, c in zip(sentences(plan), plan.courses, strict=False)
                                         if c is not needling) or "none",
        "practitioner": needling.practitioner or "qualified in acupuncture and registered where that exists",
    }


def prescription(needling: Mapping[str, Any]) -> dict[str, str]:
    """Return the needling of a plan by the items of STRICTA 2010; what was not stated says so.

    Arguments:
        needling: of a plan, as `needling_of` tells it; empty where it has no needles, and so is what returns.

    Source:
        MacPherson 2010, doi 10.1371/journal.pmed.1000261.
    """
    w = words()
    told = {"comparator": w["compared_with"], **needling}
    return {item: str(told.get(field) or w["not_stated"]) for item, field in w["stricta"].items()} if needling else {}


def _sections(result: Result) -> Iterator[dict[str, Any]]:
    w, screening, tailored = words(), result["screening"], result.get("tailored")

    def section(name: str, **parts: Any) -> dict[str, Any]:
        return {"name": name, "heading": w["headings"][name], **parts}

    yield section("found", lines=list(_found(screening)))
    forbiddable = table("contraindications")["forbiddable"]
    may_not = [forbiddable.get(name, plain(name)) for name in screening.get("forbids") or []]
    yield section("forbidden", lines=may_not or [w["forbidden"]["nothing"]])
    yield section("person", lines=list(_person(result["patient"])))
    if screening["status"] == "emergency":
        return
    yield section("plan", lines=list(_plan(result)))
    if tailored:
        yield section("prescription", fields=prescription(tailored["prescription"]))
    yield section("forecast", lines=[_forecast(result)])
    if tailored:
        rule = texts()["terminal"]["rule"]
        yield section("review", lines=[rule.format(**{**row, "week": number(row["week"])}) for row in
                                       tailored["review"]])
    yield section("caveats", lines=[texts()["sham"]["short"], *w["caveats"]])


def _found(screening: Result) -> Iterator[str]:
    w, t = words()["found"], texts()["screening"]
    asked = [finding for finding in screening["findings"] if finding["kind"] != "not_asked"]
    for finding in asked:
        yield w["line"].format(kind=t["kinds"].get(finding["kind"], plain(finding["kind"])), text=finding["text"],
                               action=t["actions"].get(finding["action"], plain(finding["action"])))
    if not asked:
        yield w["nothing"]
    if open_ := len(screening["findings"]) - len(asked):
        yield w["open"].format(n=open_)


def _person(patient: Result) -> Iterator[str]:
    w, pain = words()["person"], patient["pain"]
    age, sex = patient.get("age"), patient.get("sex")
    yield w["who"].format(age=w["unknown"]["age"] if age is None else w["age"].format(n=number(age)),
                          sex=w["unknown"]["sex"] if sex in (None, "unknown") else sex).capitalize()
    weeks, leg = pain.get("duration_weeks"), pain.get("leg_pain")
    yield w["pain"].format(
        average=number(pain["week_average"]), leg=w["leg"]["none" if leg is None else leg],
        worst="" if pain.get("worst") is None else w["worst"].format(worst=number(pain["worst"])),
        duration=w["no_duration"] if weeks is None else w["duration"].format(duration=duration(weeks)))
    if patient.get("disability"):
        yield w["disability"].format(instrument=patient["disability"]["instrument"],
                                     score=number(patient["disability"]["score"]))
    if patient.get("scores"):
        yield w["scores"].format(scores="; ".join(
            w["score"].format(outcome=score["outcome"], value=number(score["value"]), when=score.get("date")
                              or w["when"].format(week=number(score["week"]))) for score in patient["scores"]))
    names = patient.get("medicines")
    yield w["medicines"].format(names=w["untold_medicines"] if names is None else ", ".join(map(plain, names))
                                or w["no_medicines"])
    present = [plain(name) for name, answer in (patient.get("conditions") or {}).items() if answer]
    if present:
        yield w["conditions"].format(names=", ".join(present))


def _plan(result: Result) -> Iterator[str]:
    w, tailored = words()["plan"], result.get("tailored")
    if not tailored:
        yield w["none"]
        return
    if result["screening"]["status"] == "refer":
        yield w["wait"]
    yield from tailored["plan"]
    for option in result["options"]:
        if option["id"] == "tailored":
            yield from option.get("notes") or []


def _forecast(result: Result) -> str:
    w = words()
    option = next((option for option in result["options"] if option["id"] == "tailored"), None)
    if option is None or not option["benefit"]:
        return str(w["no_forecast"])
    better = option["benefit"]["improved_30pct"]
    low, high = better["range_average"]
    return str(w["forecast"].format(week=number(option["benefit"]["week"]), count=number(better["with"], 0),
                                    without=number(better["without"], 0), low=number(low, 0), high=number(high, 0)))
