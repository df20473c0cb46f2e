"""The scoreboard: every experiment with the model whole and with each theory taken away, and what follows from it.

    python -m deqi.theories.scoreboard --store       # writes matrix.txt, whose changes the history shows

A theory earns a cross experiment only if the model is within the band with it and outside without it. Experiments
that read a theory's own states never count for that: a theory always explains itself.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from .. import __version__
from ..body.system import THEORIES, equations_hash
from ..evidence import evidence_hash
from .bands import registered
from .experiment import Experiment, shipped
from .fit import fitted_values, shipped_fit, stale
from .laboratory import measure

MATRIX = Path(__file__).with_name("matrix.txt")
ABSENCES = (frozenset[str](), *(frozenset({theory}) for theory in THEORIES))
VERDICTS = ("within", "near", "outside")
USES = ("calibrate", "validate")


@dataclass(frozen=True)
class Row:
    """One experiment on the scoreboard.

    Arguments:
        experiment: what was asked.
        value, verdict: of the whole model.
        without: theory to (value, verdict) with that theory taken away.
        band_status: whether the band is the one first registered.
        reason: why it is not within, where the package says so.
    """

    experiment: Experiment
    value: float
    verdict: str
    without: Mapping[str, tuple[float, str]]
    band_status: str
    reason: str | None

    @property
    def earned_by(self) -> tuple[str, ...]:
        """Theories that this experiment needs: a cross experiment, within with them and outside without."""
        if self.experiment.kind != "cross" or self.verdict != "within":
            return ()
        return tuple(theory for theory in THEORIES if self.without[theory][1] == "outside")

    def as_json(self) -> dict[str, Any]:
        """The row as plain data."""
        e = self.experiment
        value, verdict = self.without[e.theory]
        return {
            "id": e.id, "theory": e.theory, "use": e.use, "required": e.band.required, "near": e.band.near,
            "value": _number(self.value), "verdict": self.verdict, "kind": e.kind,
            "value_without": _number(value), "verdict_without": verdict, "source": dict(e.source),
            "citation": e.citation(), "answer": "yes_no" if e.yes_no else "number", "target": e.target,
            "body": e.arm.body.name, "readout": e.readout, "statistic": e.statistic, "rule": e.rule,
            "band": self.band_status, "conflict": e.conflict, "note": e.note, "reason": self.reason,
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
        told = [(float(value), e.band.verdict(float(value))) for value in line]
        rows.append(Row(e, *told[0], dict(zip(THEORIES, told[1:], strict=True)), registered(e),
                        None if told[0][1] == "within" else reasons().get(e.id)))
    return Scoreboard(tuple(rows))


@cache
def reasons() -> dict[str, str]:
    """Experiment id to the reason why the model misses it, `reasons.yaml`."""
    import yaml

    table = yaml.load(Path(__file__).with_name("reasons.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    return {id: group["reason"] for group in table for id in group["experiments"]}


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

    return {
        "by_use": {use: counts(some(use)) | {"numbers": counts(some(use, yes_no=False)),
                                             "yes_no": counts(some(use, yes_no=True))} for use in USES},
        "by_theory": {theory: {use: counts(some(use, theory)) for use in USES}
                      | {"earned": [row.experiment.id for row in rows if theory in row.earned_by]}
                      for theory in THEORIES},
        "ties": ties(rows),
        "conflicts": conflicts(rows),
        "bands_changed": [row.experiment.id for row in rows if row.band_status == "changed"],
    }


def ties(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Pairs of theories that need the same experiments, the pair with the most in common first.

    `both` are experiments that fail without either of the two; `share` is their share of those that need at least one
    of the two.
    """
    earned = {theory: {row.experiment.id for row in rows if theory in row.earned_by} for theory in THEORIES}
    pairs = []
    for a, b in combinations(THEORIES, 2):
        both, either = earned[a] & earned[b], earned[a] | earned[b]
        pairs.append({"theories": [a, b], "both": sorted(both), "either": len(either),
                      "share": round(len(both) / len(either), 2) if either else 0.0})
    return sorted((pair for pair in pairs if pair["both"]), key=lambda pair: (-len(pair["both"]), pair["theories"]))


def nobodys(rows: Sequence[Row]) -> list[str]:
    """Cross experiments that the model meets and would meet without any one theory: they tell nothing apart."""
    return [row.experiment.id for row in rows
            if row.experiment.kind == "cross" and row.verdict == "within" and not row.earned_by]


def conflicts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Findings of the literature that contradict each other, with how the model stands between them."""
    named = dict.fromkeys(row.experiment.conflict for row in rows if row.experiment.conflict)
    return [{"conflict": name, "met": sum(row.verdict == "within" for row in members), "of": len(members),
             "experiments": {row.experiment.id: row.verdict for row in members}}
            for name in named for members in [[row for row in rows if row.experiment.conflict == name]]]


def provenance() -> dict[str, Any]:
    """What made a scoreboard."""
    return {"version": __version__, "equations": equations_hash(), "evidence": evidence_hash(),
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
    free = nobodys(rows)
    told.append(f"{len(free)} are met whichever one theory is taken away: they speak for none of the five.")
    pairs = ties(rows)
    told.append("No pair of theories shares an experiment that both are needed for." if not pairs else
                "Needed by two at once: " + "; ".join(
                    f"{' and '.join(pair['theories'])} {len(pair['both'])}" for pair in pairs) + ".")
    return told


def lines(board: Scoreboard) -> list[str]:
    """The scoreboard for a terminal."""
    rows, found = board.rows, summary(board.rows)
    shown = [f"{'theory':<18}{'use':<11}{'n':>4}{'within':>8}{'near':>6}{'outside':>9}{'earned':>8}"]
    for theory in THEORIES:
        for use in USES:
            c = found["by_theory"][theory][use]
            if c["experiments"]:
                earned = len(found["by_theory"][theory]["earned"]) if use == "calibrate" else ""
                shown.append(f"{theory:<18}{use:<11}{c['experiments']:>4}{c['within']:>8}{c['near']:>6}"
                             f"{c['outside']:>9}{earned:>8}")
    for use in USES:
        c = found["by_use"][use]
        if c["experiments"]:
            told = "; ".join(f"{name} {c[part]['within']} of {c[part]['experiments']}"
                             for part, name in (("numbers", "numbers"), ("yes_no", "yes or no"))
                             if c[part]["experiments"])
            shown.append(f"{use}: {c['within_pct']:.0f} % within, {c['within_or_near_pct']:.0f} % within or near "
                         f"({told})")
    outside = [row for row in rows if row.verdict == "outside"]
    if outside:
        shown += ["", "outside:"] + [_line(row) for row in outside]
    if found["conflicts"]:
        shown += ["", "papers that contradict each other:"] + [
            f"  {c['conflict']}: {c['met']} of {c['of']} met" for c in found["conflicts"]]
    if len(rows) > 5:
        shown += ["", *in_words(rows)]
    if found["bands_changed"]:
        shown += ["", "bands changed since they were registered: " + ", ".join(found["bands_changed"])]
    if stale():
        shown += ["", "The fit was made from other equations or experiments: python -m deqi.theories.fit"]
    return shown


def _line(row: Row) -> str:
    low, high = ("" if bound is None else f"{bound:.4g}" for bound in row.experiment.band.required)
    value = f"{row.value:.4g}" if math.isfinite(row.value) else "not formed"
    return f"  {row.experiment.id:<48} {value:>10}  band {low or '..'} to {high or '..'}  ({row.experiment.use})"


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


def store(write: Callable[[str], Any] = MATRIX.write_text) -> None:
    """Write the matrix of the shipped experiments."""
    write(matrix(run(shipped()).rows))


if __name__ == "__main__":
    if sys.argv[1:] == ["--store"]:
        store()
    else:
        print(matrix(run(shipped()).rows), end="")
