"""Decides whether it is safe to go on: red flags, contraindications, and whom the forecasts were made for.

The rules and their sources stand in `rules/red_flags.yaml`, `rules/contraindications.yaml` and
`rules/applicability.yaml`. Unknown is never no: a grave question that was not answered is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache, reduce
from typing import Any, Literal, get_args

from deqi.consult.assessment import Patient
from deqi.consult.rules import Facts, holds, question_ids, table

Kind = Literal["emergency", "urgent", "routine", "contraindication", "precaution", "caution", "not_asked"]
Status = Literal["clear", "caution", "refer", "emergency"]
Extent = Literal["inside", "edge", "outside"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # gravest first
STATUS: dict[Kind, Status] = {"emergency": "emergency", "urgent": "refer", "routine": "refer"}


@dataclass(frozen=True)
class Finding:
    """One thing that screening found.

    Attributes:
        id: the question or rule that gave it.
        kind: what it is, from `emergency` to `not_asked`.
        action: what to do, as a code (`emergency`, `refer`, `do_not_needle`, `modify` ...).
        source: the id of the evidence behind the rule, or `assumed`.
        text: the same in plain words.
        forbids: what no plan may contain because of it; keys of `forbiddable`.
    """

    id: str
    kind: Kind
    action: str
    source: str
    text: str
    forbids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Screening:
    """What screening found, gravest first.

    Attributes:
        status: `clear`, `caution`, `refer` (see a doctor) or `emergency` (stop).
        findings: why.
        forbids: what no plan for this patient may contain; keys of `forbiddable` in
            `rules/contraindications.yaml`.
    """

    status: Status
    findings: tuple[Finding, ...]
    forbids: frozenset[str]

    def as_json(self) -> dict[str, Any]:
        """The shape that the interface promises, with what is forbidden and what to watch for afterwards."""
        return {"status": self.status, "findings": [asdict(finding) for finding in self.findings],
                "forbids": sorted(self.forbids), "safety_net": table("red_flags")["safety_net"]}


@dataclass(frozen=True)
class Applicability:
    """Whether the calibrated population contains people like this patient.

    Attributes:
        status: `inside`, `edge` (a wider forecast) or `outside` (no numeric forecast).
        reasons: why not inside, in plain words, those for `outside` first.
        sources: the evidence behind each reason.
    """

    status: Extent
    reasons: tuple[str, ...]
    sources: tuple[str, ...]


def screen(patient: Patient) -> Screening:
    """Screen one patient for what must come before any plan.

    Arguments:
        patient: with the answers given so far; unanswered is unknown, never no.

    Returns:
        The findings and what they forbid. An emergency forbids every kind of care and is told alone.
    """
    facts = known_facts(patient)
    found = [*_red_flags(facts), *_contraindications(facts), *_not_asked(patient, facts)]
    forbids = frozenset(ban for finding in found for ban in finding.forbids)
    findings = sorted(found, key=lambda finding: KINDS.index(finding.kind))
    if not findings:
        return Screening("clear", (), forbids)
    status = STATUS.get(findings[0].kind, "caution")
    if status == "emergency":
        findings = [finding for finding in findings if finding.kind == "emergency"]
    return Screening(status, tuple(findings), forbids)


@cache
def asked_again() -> tuple[str, ...]:
    """The ids of the red flags and conditions to ask about at every review; medicines are asked again too."""
    rows = table("red_flags")["questions"] + table("contraindications")["conditions"]
    return tuple(row["id"] for row in rows if row.get("ask_again"))


def applicability(patient: Patient) -> Applicability:
    """Whether a forecast may be made for this patient, and how sure it can be.

    Arguments:
        patient: unknown facts count for nothing here; `screen` names what was not asked.
    """
    facts = known_facts(patient)
    rows = [row for row in table("applicability")["rules"] if holds(row["when"], facts)]
    rows.sort(key=lambda row: row["status"] == "edge")
    status: Extent = rows[0]["status"] if rows else "inside"
    return Applicability(status, tuple(row["text"] for row in rows), tuple(row["source"] for row in rows))


def known_facts(patient: Patient) -> Facts:
    """Everything that the rules may ask about one patient: True, False, or None for unknown."""
    facts: dict[str, bool | None] = dict.fromkeys(question_ids("red_flags") + question_ids("conditions"))
    facts |= patient.red_flags | patient.conditions
    for medicine in question_ids("medicines"):
        facts[medicine] = None if patient.medicines is None else medicine in patient.medicines
    for row in table("facts")["facts"]:
        facts[row["id"]] = _compared(row, reduce(getattr, row["field"].split("."), patient))
    return facts


def _compared(row: dict[str, Any], value: Any) -> bool | None:
    if "missing" in row:
        return value is None
    if value in (None, "unknown"):
        return None
    if "equals" in row:
        return bool(value == row["equals"])
    return bool(value < row["below"] if "below" in row else value > row["above"])


def _red_flags(facts: Facts) -> Iterator[Finding]:
    rules = table("red_flags")
    for row in rules["questions"]:
        if row["action"] != "none" and facts[row["id"]]:
            yield _flag(row, row["sign"] + " " + row["why"])
    for row in rules["combinations"]:
        if holds(row["when"], facts) and not ("unless" in row and holds(row["unless"], facts)):
            yield _flag(row, row["text"])


def _flag(row: dict[str, Any], text: str) -> Finding:
    rules, level = table("red_flags"), row["action"]
    return Finding(row["id"], level, rules["actions"][level], row["source"], text,
                   tuple(rules["forbids"].get(level, ())))


def _contraindications(facts: Facts) -> Iterator[Finding]:
    for row in table("contraindications")["rules"]:
        if holds(row["when"], facts):
            yield Finding(row["id"], row["kind"], row["action"], row["source"], row["text"],
                          tuple(row.get("forbids", ())))


def _not_asked(patient: Patient, facts: Facts) -> Iterator[Finding]:
    flags, conditions = table("red_flags")["questions"], table("contraindications")["conditions"]
    grave = [row for row in flags if row["action"] in ("emergency", "urgent") and not row.get("optional")]
    for row in grave + [row for row in conditions if row.get("must_ask")]:
        spared = "unless" in row and holds(row["unless"], facts)
        if facts[row["id"]] is None and not spared:
            yield _unasked(row["id"], row)
    if patient.medicines is None:
        yield _unasked("medicines", table("contraindications")["medicines_not_given"])


def _unasked(id: str, row: dict[str, Any]) -> Finding:
    return Finding(id, "not_asked", "ask", row["source"], f"Not asked: {row['ask']}",
                   tuple(row.get("forbids_until_asked", ())))
