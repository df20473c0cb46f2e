"""The scoreboard: every experiment with the model whole and with each theory taken away, and what follows from it.

    python -m deqi.theories.scoreboard --store       # writes matrix.txt, whose changes the history shows

A theory earns a cross experiment only if the model is within the band with it and outside without it. Experiments
that read a theory's own states never count for that: a theory always explains itself. Two theories tie on an
experiment that the model meets with either alone of the two, but not without both.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from .. import __version__
from ..body.system import THEORIES, equations_hash
from ..evidence import evidence_hash
from ..writing import write_text
from .bands import question_changed, registered, withdrawn
from .experiment import Experiment, shipped
from .fit import fitted_values, shipped_fit, stale
from .laboratory import measure
from .readouts import readouts
from .statistics import STATISTICS

MATRIX = Path(__file__).with_name("matrix.txt")
PAIRS = tuple(combinations(THEORIES, 2))
ABSENCES = (frozenset[str](), *(frozenset({theory}) for theory in THEORIES), *(frozenset(pair) for pair in PAIRS),
            frozenset(THEORIES))
FEW = 20
"""Up to so many experiments are listed one by one."""
VERDICTS = ("within", "near", "outside")
USES = ("calibrate", "validate")


@dataclass(frozen=True)
class Row:
    """One experiment on the scoreboard.

    Arguments:
        experiment: what was asked.
        value, verdict: of the whole model.
        without: theory to (value, verdict) with that theory taken away.
        without_both: pair of theories to the same with both taken away.
        empty: the same with all five taken away.
        band_status: whether the band is the one first registered.
        reason: why it is not within, where the package says so.
    """

    experiment: Experiment
    value: float
    verdict: str
    without: Mapping[str, tuple[float, str]]
    without_both: Mapping[tuple[str, str], tuple[float, str]]
    empty: tuple[float, str]
    band_status: str
    question_changed: bool
    reason: str | None

    @property
    def earned_by(self) -> tuple[str, ...]:
        """Theories that this experiment needs: a cross experiment, within with them and outside without.

        A number that cannot be formed without a theory (a share of no effect) counts neither for it nor against it,
        and no theory earns a reading of its own states.
        """
        if self.experiment.kind != "cross" or self.verdict != "within":
            return ()
        own = readouts()[self.experiment.readout].room
        return tuple(theory for theory in THEORIES if theory != own and self._lost(self.without[theory]))

    @property
    def either(self) -> tuple[tuple[str, str], ...]:
        """Pairs of theories of which one is enough: within without either, outside without both."""
        if self.experiment.kind != "cross" or self.verdict != "within":
            return ()
        return tuple(pair for pair in PAIRS if self._lost(self.without_both[pair])
                     and all(self.without[theory][1] == "within" for theory in pair))

    @staticmethod
    def _lost(found: tuple[float, str]) -> bool:
        return found[1] == "outside" and math.isfinite(found[0])

    @property
    def near_to_nothing(self) -> bool:
        """Near by the rule, but nearer to no effect at all than to the band."""
        null, band = STATISTICS[self.experiment.statistic].null, self.experiment.band
        if self.verdict != "near" or null is None:
            return False
        edge = band.low if band.low is not None and band.low > null else band.high
        if edge is None or edge == null or (
                band.low is not None and band.high is not None and band.low <= null <= band.high):
            return False
        return (self.value - null) / (edge - null) < 0.5

    def as_json(self) -> dict[str, Any]:
        """The row as plain data."""
        e = self.experiment
        value, verdict = self.without[e.theory]
        return {
            "id": e.id, "theory": e.theory, "use": e.use, "required": e.band.required, "near": e.band.near,
            "value": _number(self.value), "verdict": self.verdict, "kind": e.kind,
            "value_without": _number(value), "verdict_without": verdict, "source": dict(e.source),
            "citation": e.citation(), "answer": "yes_no" if e.yes_no else "number", "target": e.target,
            "question_changed": self.question_changed, "by_construction": e.by_construction,
            "prior_informed": e.prior_informed, "near_to_nothing": self.near_to_nothing,
            "empty": {"value": _number(self.empty[0]), "verdict": self.empty[1]},
            "body": e.arm.body.name, "readout": e.readout, "statistic": e.statistic, "rule": e.rule,
            "band": self.band_status, "conflict": e.conflict, "note": e.note,
            "reason": self.reason or unformed(self.value),
            "without": {theory: {"value": _number(v), "verdict": told} for theory, (v, told) in self.without.items()},
            "earned_by": list(self.earned_by),
        }


@dataclass(frozen=True)
class Scoreboard:
    """All rows, in the order of the experiments."""

    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """`experiments, summary, provenance`."""
        return {"experiments": [row.as_json() for row in self.rows], "summary": summary(self.rows),
                "provenance": provenance()}


def run(experiments: Sequence[Experiment], fitted: Mapping[str, float] | None = None) -> Scoreboard:
    """Run experiments with the model whole and with each theory taken away.

    Arguments:
        experiments: what to run.
        fitted: address to value; None for the fit that ships.
    """
    fitted = fitted_values() if fitted is None else fitted
    found = measure(experiments, fitted, ABSENCES)
    rows = []
    for e, line in zip(experiments, found, strict=True):
        told = {absent: (float(value), e.band.verdict(float(value)))
                for absent, value in zip(ABSENCES, line, strict=True)}
        value, verdict = told[frozenset()]
        rows.append(Row(e, value, verdict, {theory: told[frozenset({theory})] for theory in THEORIES},
                        {pair: told[frozenset(pair)] for pair in PAIRS}, told[frozenset(THEORIES)], registered(e),
                        question_changed(e), None if verdict == "within" else reasons().get(e.id)))
    return Scoreboard(tuple(rows))


@cache
def reasons() -> dict[str, str]:
    """Experiment id to the reason why the model misses it, `reasons.yaml`."""
    import yaml

    table = yaml.load(Path(__file__).with_name("reasons.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    return {id: group["reason"] for group in table for id in group["experiments"]}


def unformed(value: float) -> str | None:
    """Why there is no number, where there is none."""
    if math.isnan(value):
        return "not formed: there is no effect to take a share of"
    return "not over while it was watched" if math.isinf(value) else None


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def counts(rows: Sequence[Row]) -> dict[str, Any]:
    """How many are within, near, outside, and the shares in percent."""
    n = len(rows)
    told = {verdict: sum(row.verdict == verdict for row in rows) for verdict in VERDICTS}
    shares = {"within_pct": told["within"], "within_or_near_pct": n - told["outside"]} if n else {}
    return {"experiments": n, **told, **{name: round(100 * share / n, 1) for name, share in shares.items()}}


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Counts by use and answer, by theory; who earned what; ties; conflicts; bands that changed."""
    def some(use: str, theory: str | None = None, yes_no: bool | None = None) -> list[Row]:
        return [row for row in rows if row.experiment.use == use and theory in (None, row.experiment.theory)
                and yes_no in (None, row.experiment.yes_no)]

    calibrated = {row.experiment.asked for row in rows if row.experiment.use == "calibrate"}

    def clean(row: Row) -> bool:
        """A test in its own right: not by construction, not foreseen by a prior, not a number that was fitted."""
        e = row.experiment
        return not (e.by_construction or e.prior_informed or (e.use == "validate" and e.asked in calibrated))

    return {
        "by_use": {use: counts(some(use)) | {
            "numbers": counts(some(use, yes_no=False)), "yes_no": counts(some(use, yes_no=True)),
            "clean": counts([row for row in some(use) if clean(row)]),
            "distinct": len({row.experiment.asked for row in some(use)}),
            "near_to_nothing": sum(row.near_to_nothing for row in some(use)),
            "empty_model_within": sum(row.empty[1] == "within" for row in some(use)),
        } for use in USES},
        "by_theory": {theory: {use: counts(some(use, theory)) for use in USES}
                      | {"earned": [row.experiment.id for row in rows if theory in row.earned_by]}
                      for theory in THEORIES},
        "ties": ties(rows),
        "conflicts": conflicts(rows),
        "bands_changed": [row.experiment.id for row in rows if row.band_status == "changed"],
        "questions_changed": [row.experiment.id for row in rows if row.question_changed],
    }


def ties(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Pairs of theories that explain the same experiments, the pair with the most first.

    `either` are experiments that one of the two is enough for: the data cannot tell which. `both` are experiments that
    fail without the one and without the other.
    """
    pairs = [{"theories": list(pair), "either": [row.experiment.id for row in rows if pair in row.either],
              "both": [row.experiment.id for row in rows if set(pair) <= set(row.earned_by)]} for pair in PAIRS]
    return sorted((pair for pair in pairs if pair["either"] or pair["both"]),
                  key=lambda pair: (-len(pair["either"]), -len(pair["both"]), pair["theories"]))


def tied(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The pairs that the data cannot tell apart; where there is none, those that are needed together."""
    found = ties(rows)
    chosen = [pair for pair in found if pair["either"]] or found
    return [(pair["theories"][0], pair["theories"][1]) for pair in chosen]


def nobodys(rows: Sequence[Row]) -> list[str]:
    """Cross experiments that the model meets and would meet with all five theories taken away."""
    return [row.experiment.id for row in rows
            if row.experiment.kind == "cross" and row.verdict == "within" and row.empty[1] == "within"]


def conflicts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Findings of the literature that contradict each other, with how the model stands between them."""
    named = dict.fromkeys(row.experiment.conflict for row in rows if row.experiment.conflict)
    return [{"conflict": name, "met": sum(row.verdict == "within" for row in members), "of": len(members),
             "experiments": {row.experiment.id: row.verdict for row in members}}
            for name in named for members in [[row for row in rows if row.experiment.conflict == name]]]


def provenance() -> dict[str, Any]:
    """What made a scoreboard."""
    return {"version": __version__, "equations": equations_hash(), "evidence": evidence_hash(),
            "withdrawn": withdrawn(shipped()),
            "fit": shipped_fit().get("stamp"), "fit_is_stale": stale(), "seed": None,
            "note": "no random numbers: the same equations, experiments and fit give the same scoreboard"}


def matrix(rows: Sequence[Row]) -> str:
    """The matrix of theories taken away against cross experiments, as text: one letter a verdict."""
    letter = {"within": "w", "near": "n", "outside": "-"}
    cross = [row for row in rows if row.experiment.kind == "cross"]
    head = ["# Cross experiments (rows) against the model whole and without each theory: w within, n near, - outside.",
            f"# {'experiment':<48} whole " + " ".join(f"{theory[:9]:>9}" for theory in THEORIES)]
    return "\n".join(head + [
        f"{row.experiment.id:<50} {letter[row.verdict]:>5} "
        + " ".join(f"{letter[row.without[theory][1]]:>9}" for theory in THEORIES) for row in cross]) + "\n"


def in_words(rows: Sequence[Row]) -> list[str]:
    """The matrix read out in sentences, one a theory and two about what cannot be told."""
    cross = [row for row in rows if row.experiment.kind == "cross"]
    met = sum(row.verdict == "within" for row in cross)
    told = [f"Of {len(cross)} experiments on pain, thresholds, disability or another theory's states, the whole model "
            f"is within the band in {met}."]
    for theory in THEORIES:
        earned = [row for row in cross if theory in row.earned_by]
        alone = [row for row in earned if row.earned_by == (theory,)]
        own = [row for row in cross if row.experiment.theory == theory]
        better = [row for row in cross if row.verdict != "within" and row.without[theory][1] == "within"]
        words = (f"Take away {theory} and {len(earned)} of them fall outside ({len(alone)} of those need no other "
                 f"theory); of its own {len(own)} it earns {sum(theory in row.earned_by for row in own)}.")
        if better:
            words += (f" {len(better)} would be met only without it ({', '.join(r.experiment.id for r in better[:3])}"
                      f"{' ...' if len(better) > 3 else ''}).")
        told.append(words)
    pairs = ties(rows)
    for part, head, none in (("either", "Either of two is enough, so that the data cannot tell which: ",
                              "No experiment is met by either of two theories but by neither."),
                             ("both", "Needed are both at once: ", "No experiment needs two theories at once.")):
        some = [f"{' and '.join(pair['theories'])} {len(pair[part])}" for pair in pairs if pair[part]]
        told.append(head + "; ".join(some) + "." if some else none)
    told.append(f"{len(nobodys(rows))} are met even with all five taken away: they speak for none of them.")
    return told


def lines(board: Scoreboard) -> list[str]:
    """The scoreboard for a terminal."""
    rows, found = board.rows, summary(board.rows)
    shown = [f"{'theory':<18}{'use':<11}{'n':>4}{'within':>8}{'near':>6}{'outside':>9}{'earned':>8}"]
    for theory in THEORIES:
        earned: int | str = len(found["by_theory"][theory]["earned"])
        for use in USES:
            c = found["by_theory"][theory][use]
            if c["experiments"]:
                shown.append(f"{theory:<18}{use:<11}{c['experiments']:>4}{c['within']:>8}{c['near']:>6}"
                             f"{c['outside']:>9}{earned:>8}")
                earned = ""
    for use in USES:
        c = found["by_use"][use]
        if c["experiments"]:
            told = "; ".join(f"{name} {c[part]['within']} of {c[part]['experiments']}"
                             for part, name in (("numbers", "numbers"), ("yes_no", "yes or no"))
                             if c[part]["experiments"])
            shown.append(f"{use}: {c['within_pct']:.0f} % within, {c['within_or_near_pct']:.0f} % within or near "
                         f"({told}); without any theory {c['empty_model_within']} within")
            if c["clean"]["experiments"] < c["experiments"]:
                shown.append(f"  tests in their own right: {c['clean']['within']} of {c['clean']['experiments']} "
                             "within")
    listed = rows if len(rows) <= FEW else [row for row in rows if row.verdict == "outside"]
    if listed:
        shown += ["", "each of them:" if len(rows) <= FEW else "outside:"] + [_line(row) for row in listed]
    if found["conflicts"]:
        shown += ["", "papers that contradict each other:"] + [
            f"  {c['conflict']}: {c['met']} of {c['of']} met" for c in found["conflicts"]]
    if len(rows) > FEW:
        shown += ["", *in_words(rows)]
    if found["bands_changed"]:
        shown += ["", "bands changed since they were registered: " + ", ".join(found["bands_changed"])]
    if found["questions_changed"]:
        shown += ["", f"{len(found['questions_changed'])} experiments are done or read otherwise than when their bands "
                  "were registered (the page says which)."]
    if stale():
        shown += ["", "The fit was made from other equations or experiments: python -m deqi.theories.fit"]
    return shown


def _line(row: Row) -> str:
    low, high = ("" if bound is None else f"{bound:.4g}" for bound in row.experiment.band.required)
    value = f"{row.value:.4g}" if math.isfinite(row.value) else "-"
    without = _number(row.without[row.experiment.theory][0])
    told = f", without {row.experiment.theory} {without:.4g}" if without is not None else ""
    if row.experiment.kind == "internal":
        told = ", reads its own theory"
    told += f"; {unformed(row.value)}" if unformed(row.value) else ""
    told += "; nearer to no effect than to the band" if row.near_to_nothing else ""
    return (f"  {row.verdict:<8}{row.experiment.id:<48} {value:>10}  band {low or '..'} to {high or '..'}"
            f"  ({row.experiment.use}{told})")


def of_theory(experiments: Sequence[Experiment], theory: str | None) -> tuple[Experiment, ...]:
    """The experiments of one theory; all for None.

    Raises:
        InputError: no such theory.
    """
    from ..care.course import nearest_hint
    from ..errors import InputError

    if theory is not None and theory not in THEORIES:
        raise InputError("no such theory", field="--theory", found=theory,
                         accepted=", ".join(THEORIES) + nearest_hint(theory, THEORIES))
    return tuple(e for e in experiments if theory in (None, e.theory))


if __name__ == "__main__":
    found = matrix(run(shipped()).rows)
    if sys.argv[1:] == ["--store"]:
        write_text(MATRIX, found)
    else:
        print(found, end="")
