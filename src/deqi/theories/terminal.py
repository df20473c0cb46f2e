"""The scoreboard for a terminal."""

from __future__ import annotations

import math

from ..body.system import THEORIES
from .fit import stale
from .scoreboard import USES, Row, Scoreboard, in_words, number, summary, unformed

FEW = 20
"""Up to so many experiments are listed one by one."""


def lines(board: Scoreboard) -> list[str]:
    """Counts by theory and use, what lies outside, and what follows."""
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
    without = number(row.without[row.experiment.theory][0])
    told = f", without {row.experiment.theory} {without:.4g}" if without is not None else ""
    if row.experiment.kind == "internal":
        told = ", reads its own theory"
    told += f"; {unformed(row.value)}" if unformed(row.value) else ""
    told += "; nearer to no effect than to the band" if row.near_to_nothing else ""
    return (f"  {row.verdict:<8}{row.experiment.id:<48} {value:>10}  band {low or '..'} to {high or '..'}"
            f"  ({row.experiment.use}{told})")
