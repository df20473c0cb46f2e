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
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..body.system import THEORIES, equations_hash
from ..care.course import nearest_hint
from ..errors import InputError
from ..evidence import evidence_hash
from ..results import Result, attributes
from ..writing import write_text
from .bands import question_changed, registered, withdrawn
from .experiment import Experiment, experiment, load, shipped
from .fit import fitted_values, shipped_fit, stale
from .laboratory import measure
from .readouts import readouts
from .statistics import STATISTICS

if TYPE_CHECKING:
    import xarray

Asked = str | Path | Sequence[Experiment | Mapping[str, Any]] | None
MATRIX = Path(__file__).with_name("matrix.txt")
PAIRS = tuple(combinations(THEORIES, 2))
ABSENCES = (frozenset[str](), *(frozenset({theory}) for theory in THEORIES), *(frozenset(pair) for pair in PAIRS),
            frozenset(THEORIES))
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

    def told(self, absent: frozenset[str]) -> tuple[float, str]:
        """Value and verdict without some theories, one of the `ABSENCES`."""
        known: dict[Any, tuple[float, str]] = {
            (): (self.value, self.verdict), **{(theory,): found for theory, found in self.without.items()},
            **self.without_both, THEORIES: self.empty}
        return known[tuple(theory for theory in THEORIES if theory in absent)]

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
            "value": number(self.value), "verdict": self.verdict, "kind": e.kind,
            "value_without": number(value), "verdict_without": verdict, "source": dict(e.source),
            "citation": e.citation(), "answer": "yes_no" if e.yes_no else "number", "target": e.target,
            "question_changed": self.question_changed, "by_construction": e.by_construction,
            "prior_informed": e.prior_informed, "near_to_nothing": self.near_to_nothing,
            "empty": {"value": number(self.empty[0]), "verdict": self.empty[1]},
            "body": e.arm.body.name, "readout": e.readout, "statistic": e.statistic, "rule": e.rule,
            "band": self.band_status, "conflict": e.conflict, "note": e.note,
            "reason": self.reason or unformed(self.value),
            "without": {theory: {"value": number(v), "verdict": told} for theory, (v, told) in self.without.items()},
            "earned_by": list(self.earned_by),
        }


@dataclass(frozen=True)
class Scoreboard(Result):
    """All rows, in the order of the experiments."""

    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """`experiments, summary, provenance`."""
        return {"experiments": [row.as_json() for row in self.rows], "summary": summary(self.rows),
                "provenance": provenance()}

    def dataset(self) -> xarray.Dataset:
        """Value and verdict over (experiment, without), where `without` says what was taken away."""
        from .table import as_dataset

        return as_dataset(self.rows, attributes(provenance()))


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


def number(value: float) -> float | None:
    """A value for JSON: six digits, and null where there is none."""
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


def on_trial(experiments: Asked = None, theory: str | None = None) -> Scoreboard:
    """Put theories on trial: experiments with the whole model and without each theory.

    Arguments:
        experiments: those that ship (None), a file, or a list of them, built or as plain data.
        theory: one theory's experiments only.

    Raises:
        InputError: an experiment or a theory that is not accepted.
    """
    return run(chosen(experiments, theory))


def chosen(experiments: Asked = None, theory: str | None = None) -> tuple[Experiment, ...]:
    """The experiments that `on_trial` runs; arguments and errors as there."""
    if theory is not None and theory not in THEORIES:
        raise InputError("no such theory", field="--theory", found=theory,
                         accepted=", ".join(THEORIES) + nearest_hint(theory, THEORIES))
    if experiments is None:
        asked = shipped()
    elif isinstance(experiments, str | Path):
        asked = load(experiments)
    else:
        asked = tuple(e if isinstance(e, Experiment) else experiment(e) for e in experiments)
    found = tuple(e for e in asked if theory in (None, e.theory))
    if not found:
        raise InputError("no experiment of this theory", field="--theory", found=theory,
                         file=str(experiments) if isinstance(experiments, str | Path) else None,
                         accepted=", ".join(dict.fromkeys(e.theory for e in asked)) or "one experiment or more")
    return found


if __name__ == "__main__":
    found = matrix(run(shipped()).rows)
    if sys.argv[1:] == ["--store"]:
        write_text(MATRIX, found)
    else:
        print(found, end="")
