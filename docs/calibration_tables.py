"""Tables of the manual that are read from the validation that ships."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cells import grid, source

NO_CALIBRATION = "*No calibration ships with this copy yet; `deqi calibrate` makes one.*"


def _of(part: Callable[[Mapping[str, Any]], str]) -> Callable[[], str]:
    """A table from the validation that ships, or a sentence that there is none."""
    def table() -> str:
        from deqi.calibrate.validate import shipped

        found = shipped()
        return part(found) if found else NO_CALIBRATION

    return table


def _in_words(found: Mapping[str, Any]) -> str:
    from deqi.calibrate.report import in_words

    return "\n".join(f"- {line}" for line in in_words(found))


def _left_out(found: Mapping[str, Any]) -> str:
    from deqi.calibrate.report import MODELS

    return grid(("rule", "results", "inside 50 %", "inside 80 %", "inside 95 %", "off by (NRS)", "CRPS (NRS)",
                  "log density"), (
        (MODELS.get(row["model"], row["model"]), row["statistics"],
         *(f"{100 * row[f'covered_{level}']:.0f} %" for level in (50, 80, 95)), f"{row['mae'] / 10:.2f}",
         f"{row['crps'] / 10:.2f}", f"{row['log_density']:.2f}") for row in found["left_out"]["models"]))


def _pooled(found: Mapping[str, Any]) -> str:
    from deqi.calibrate.report import UNITS

    return grid(("comparison", "published", "model", "unit", "", "source"), (
        (row["what"], _known(row["published"]), _known(row["predicted"]), UNITS.get(row["unit"], row["unit"]),
         "overlap" if row["overlap"] else "**conflict**", source(row["source"])) for row in found["external"]))


def _known(band: Iterable[float | None]) -> str:
    from deqi.calibrate.figures import number

    low, middle, high = band
    ends = "" if low is None or high is None else f" ({number(low, 2)} to {number(high, 2)})"
    return number(middle, 2) + ends


def _theories(found: Mapping[str, Any]) -> str:
    return grid(("theory", "route", "week 6", "week 26"), (
        (row["theory"], f"`{row['route']}`" if row["route"] else "", _known(row["week6"]), _known(row["week26"]))
        for row in found["theories"]["benefit"]))


def _plainly(found: Mapping[str, Any]) -> str:
    return "\n".join(f"- {line}" for line in found["theories"]["plainly"])


def _alike(found: Mapping[str, Any]) -> str:
    return grid(("one", "other", "correlation"),
                 ((f"`{row['a']}`", f"`{row['b']}`", f"{row['r']:.2f}") for row in found["correlated"]))


def _sensitivity(found: Mapping[str, Any]) -> str:
    return grid(("assumed", "instead", "effect"),
                 ((row["assumption"], row["instead"], row["effect"]) for row in found["sensitivity"]))


def _unused(found: Mapping[str, Any]) -> str:
    return grid(("trial", "reason"), ((f"`{row['trial']}`", row["reason"]) for row in found["unused"]))


def _made(found: Mapping[str, Any]) -> str:
    made, d = found["made"], found["diagnostics"]
    words = {"version": "version", "seed": "seed", "trials": "studies", "statistics": "results", "chains": "chains",
             "draws": "draws a chain", "patients": "virtual patients under each arm", "minutes": "minutes",
             "peak_memory_gib": "memory at most, GiB"}
    rows = [(said, f"{made[key]:.3g}" if isinstance(made[key], float) else made[key])
            for key, said in words.items() if key in made]
    rows += [("R-hat at most", f"{d['r_hat_max']:.3f}"), ("effective draws at least", f"{d['ess_min']:.0f}"),
             ("independent jumps taken", f"{100 * d['jumps']:.0f} %"),
             ("Pareto k of the map they come from", f"{d['k']:.2f}")]
    return grid(("", ""), rows)


def _formula(name: str) -> str:
    from latex2mathml.converter import convert

    return f'<div class="formula">{convert(FORMULAS[name], display="block")}</div>'


FORMULAS = {
    "healing": r"H_i(t) = f_i + (1 - f_i)\, e^{-r_i \left(t + \phi F_i(t)\right)}",
    "routes": r"\ell_i(t) = \operatorname{logit}\frac{B_i}{10} + N_i\left(1 - H_i(t)\right) + A_i(t) "
              r"+ \sum_k \left(w_k b_{ik}(t) + w_k^2 c_{ik}(t)\right)",
    "context": r"C_i(t) = p_i \int_0^t q_i\, e^{-q_i (t - s)}\, S(s)\, ds",
    "pain": r"P_i(t) = 10\, \operatorname{logistic}\left(\ell_i(t)\right) e^{R_i(t) - C_i(t) + v}",
    "likelihood": r"y_j \sim t_5\left(m_j(\theta),\, V_j\right), \qquad V_j = E_j + J_u\, \tau^2 J_u^{\top} "
                  r"+ J_v\, \sigma^2 J_v^{\top} + K_j",
}
"""The equations of the calibration, in short."""

TABLES: dict[str, Callable[..., str]] = {
    "calibration-in-words": _of(_in_words), "calibration-left-out": _of(_left_out),
    "calibration-pooled": _of(_pooled), "calibration-theories": _of(_theories),
    "calibration-plainly": _of(_plainly), "calibration-alike": _of(_alike),
    "calibration-sensitivity": _of(_sensitivity), "calibration-unused": _of(_unused),
    "calibration-made": _of(_made), "calibration-formula": _formula,
}
