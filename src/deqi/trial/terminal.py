"""A trial's result for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..consult.wording import number
from .report import METHODS, in_words, percent


def lines(result: Mapping[str, Any]) -> list[str]:
    """Who takes part, power and assurance at each size, and what follows in words.

    Arguments:
        result: as `deqi trial --json` writes it.
    """
    design, flow, power = result["design"], result["flow"], result["power"]
    primary, made = power["primary"], result["provenance"]
    wide = max(len("contrast"), *(len(row["contrast"]) for row in power["curve"]))
    shown = [f"{design['title']}: {design['trials']:,} simulated trials in each of {len(made['worlds'])} worlds, "
             f"seed {made['seed']}", "",
             f"Of {flow['assessed']:,.0f} people assessed {flow['randomised']:,.0f} are randomised; seen in week "
             f"{primary['week']}: " + ", ".join(f"{arm['arm']} {arm['analysed']:,.0f} of {arm['allocated']:,.0f}"
                                                for arm in flow["arms"]) + ".", "",
             f"{primary['outcome']} in week {primary['week']}, {METHODS[primary['method']]}, two-sided "
             f"{number(100 * design['analysis']['level'], 2)} %",
             f"{'contrast':<{wide}}{'people':>9}{'power':>9}{'±':>8}{'assurance':>12}{'±':>8}"]
    told = ""
    for row in power["curve"]:
        name = "" if row["contrast"] == told else row["contrast"]
        shown.append(f"{name:<{wide}}{row['n']:>9,}{percent(row['power'], 1):>9}{percent(row['mc_se'], 1):>8}"
                     f"{percent(row['assurance'], 1):>12}{percent(row['assurance_mc_se'], 1):>8}")
        told = row["contrast"]
    return [*shown, "", *in_words(result, brief=True), "", *CAVEAT]


CAVEAT = ("Power rests on the effect that the model holds for true, assurance on all that it does not know as well.",
          "Beyond sham, published trials found about 3.5 of 100 points (deqi evidence pooled_li2020_mbma).")
