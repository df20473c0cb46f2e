"""All that is known about how well the calibration predicts, in one mapping for the report (`validation.json`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..population.averages import averages, names, values
from ..writing import replacing
from . import ablation, external, sensitivity
from .held_out import (
    MOST_K,
    LeftOut,
    comparators_left_out,
    leave_one_out,
    pain_rows,
    pit,
    predictive_moments,
    student,
    summary,
)
from .inference import Draws, diagnostics
from .likelihood import Likelihood, reported
from .problem import baseline_of
from .scores import pit_uniformity
from .store import current
from .targets import left_out as reason_left_out
from .targets import studies

VALIDATION = Path(__file__).with_name("validation.json")
"""The results that ship, made by `deqi calibrate`."""
FEW = 200
"""Draws for quantities that need a run of the model each."""
BANDS = (0.025, 0.1, 0.5, 0.9, 0.975)
TELLING = 1.0
"""Difference of log density below which two predictions count as alike; assumed."""
ALIKE = 0.4
"""Correlation from which on two averages count as hard to tell apart."""


def shipped() -> dict[str, Any]:
    """The validation that ships; empty before calibration."""
    return json.loads(VALIDATION.read_text(encoding="utf-8")) if VALIDATION.exists() else {}


def validate(likelihood: Likelihood, draws: Draws, made: Mapping[str, Any], *, seed: int = 1, again: int = 12,
             told: Callable[[str], Any] = lambda _: None) -> dict[str, Any]:
    """Everything that the report shows.

    Arguments:
        likelihood: of the trials.
        draws: from the posterior.
        made: what made them (version, seed, minutes ...).
        seed: of every random number.
        again: most trials that are left out by sampling anew.
        told: called with what is being done.
    """
    few = draws.flat[np.linspace(0, len(draws.flat) - 1, FEW).round().astype(int)]
    told("leaving out each trial in turn")
    out = leave_one_out(likelihood, draws, seed=seed, again=again, progress=lambda id: told(f"left out {id}"))
    told("the theories under the trials")
    theories: dict[str, Any] = {"weights": ablation.weights(draws.flat), "benefit": ablation.benefit(likelihood, few),
                "left_out": ablation.left_out(likelihood, few)}
    theories["plainly"] = plainly(theories)
    told("pooled results")
    pooled = external.compare(few)
    told("sensitivity")
    sensitive = sensitivity.analyse(likelihood, draws.laplace, seed, told)
    return {
        "stamp": current(), "made": dict(made), "diagnostics": diagnostics(draws, names()),
        "averages": averages_table(draws), "correlated": _correlated(draws),
        "fit": _fit(likelihood, few, out, seed), "left_out": _left_out(likelihood, out, seed),
        "pit": _pit(likelihood, out), "theories": theories, "external": pooled,
        "spread": _spread(likelihood, few, seed), "sensitivity": sensitive,
        "unused": [{"trial": t.id, "reason": reason} for t in studies() if (reason := reason_left_out(t))],
    }


def write(found: Mapping[str, Any], path: Path = VALIDATION) -> None:
    """Write the validation, whole or not at all, with numbers of a length that is meant."""
    with replacing(path) as draft:
        draft.write_text(json.dumps(_rounded(found), indent=1) + "\n", encoding="utf-8")


def _rounded(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {key: _rounded(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [_rounded(value) for value in x]
    if isinstance(x, float):
        return None if not np.isfinite(x) else float(f"{x:.5g}")
    return x


def averages_table(draws: Draws) -> list[dict[str, Any]]:
    """Prior and posterior of every average: 5, 50 and 95 %, and the share of the prior variance removed."""
    known = values(draws.flat.T)
    prior = values(np.array([-1.645, 0.0, 1.645])[None].repeat(len(names()), axis=0))
    return [{"name": a.name, "unit": a.unit, "why": a.why, "source": a.source,
             "prior": [float(x) for x in prior[a.name]],
             "posterior": [float(q) for q in np.quantile(np.asarray(known[a.name]), (0.05, 0.5, 0.95))],
             "learned": float(max(1.0 - np.var(draws.flat[:, i]), 0.0))} for i, a in enumerate(averages())]


def _correlated(draws: Draws) -> list[dict[str, Any]]:
    r = np.corrcoef(draws.flat.T)
    pairs = [(names()[i], names()[j], float(r[i, j])) for i in range(len(r)) for j in range(i)]
    return [{"a": a, "b": b, "r": x} for a, b, x in sorted(pairs, key=lambda p: -abs(p[2])) if abs(x) >= ALIKE]


def _fit(likelihood: Likelihood, z: np.ndarray, out: Sequence[LeftOut], seed: int) -> list[dict[str, Any]]:
    """Published and predicted value of every statistic, with the trial and without it."""
    m, V = predictive_moments(likelihood, z)
    b, rng = likelihood.blocks, np.random.default_rng([seed, 21])
    without = {p.observation: p for trial in out for p in trial.predictions}
    rows = []
    for t, trial in enumerate(likelihood.problem.trials):
        for place in np.flatnonzero(np.asarray(b.mask[t]) > 0.0):
            i = int(b.index[t, place])
            o = likelihood.problem.rows[i][1]
            drawn = m[:, t, place] + np.sqrt(V[:, t, place, place]) * student(rng, len(z))
            undo = np.exp if o.statistic in ("sd", "change_sd") else np.asarray
            rows.append({
                "trial": trial.id, "title": trial.source, "arm": o.arm, "versus": o.versus,
                "kind": without[i].kind, "outcome": o.outcome, "domain": o.domain, "statistic": o.statistic,
                "week": o.week, "n": o.n, "value": o.value, "baseline": baseline_of(trial, o.arm, o.domain)[0],
                "predicted": [float(q) for q in np.quantile(undo(drawn), BANDS)],
                "left_out": [float(q) for q in np.quantile(undo(without[i].draws), BANDS)],
            })
    return rows


def _left_out(likelihood: Likelihood, out: Sequence[LeftOut], seed: int) -> dict[str, Any]:
    rows, index = pain_rows(likelihood)
    of = {p.observation: p for trial in out for p in trial.predictions}
    is_level = np.array([of[i].statistic == "mean" for i in index])
    drawn = np.stack([of[i].draws for i in index], axis=1) - np.where(is_level, rows.baseline, 0.0)
    density = np.array([of[i].log_density for i in index])
    models = [{"model": "deqi", **summary(rows.change, drawn, density)}]
    rng = np.random.default_rng([seed, 31])
    for name, (mean, sd, _) in comparators_left_out(rows).items():
        normal = mean + sd * rng.standard_normal((2000, len(mean)))
        log = -0.5 * ((rows.change - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2.0 * np.pi)
        models.append({"model": name, **summary(rows.change, normal, log)})
    kinds = dict.fromkeys((p.domain, p.statistic) for p in of.values())
    by_statistic = []
    for domain, statistic in sorted(kinds):
        chosen = [p for p in of.values() if (p.domain, p.statistic) == (domain, statistic)]
        by_statistic.append({"domain": domain, "statistic": statistic, **_summed(chosen)})
    titles = {trial.id: trial.source for trial in likelihood.problem.trials}
    trials = [{"trial": x.trial, "title": titles[x.trial], "k": x.k, "anew": x.anew, "joint": x.joint,
               **{key: value for key, value in _summed(x.predictions).items()
                  if key in ("statistics", "mae", "covered_80")}} for x in out]
    return {"models": models, "by_statistic": by_statistic, "trials": trials}


def _summed(chosen: Sequence[Any]) -> dict[str, float]:
    return summary(np.array([p.value for p in chosen]), np.stack([p.draws for p in chosen], axis=1),
                   np.array([p.log_density for p in chosen]))


def _pit(likelihood: Likelihood, out: Sequence[LeftOut]) -> dict[str, Any]:
    chosen = [(t, p) for t, trial in enumerate(out) for p in trial.predictions
              if p.statistic in ("mean", "change", "difference")]
    places = pit(np.array([p.value for _, p in chosen]), np.stack([p.draws for _, p in chosen], axis=1))
    test = pit_uniformity(places, np.array([t for t, _ in chosen]))
    return {"values": [float(x) for x in places], "p": test.p, "location": test.location, "spread": test.spread}


def _spread(likelihood: Likelihood, z: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """Spreads of scores between arms of one trial: a sign of whom the treatment suits, if they differed."""
    m, V = predictive_moments(likelihood, z)
    rng = np.random.default_rng([seed, 41])
    published = reported(likelihood.problem)
    found = []
    for what, trial, first, second, statistic, week, power in (
            ("SD true / sham, GERAC week 6", "haake2007", "verum", "sham", "sd", 6.0, 1.0),
            ("SD true / sham, GERAC week 26", "haake2007", "verum", "sham", "sd", 26.0, 1.0),
            ("SD of change true / sham, ART week 8", "brinkhaus2006", "acupuncture", "minimal", "change_sd", 8.0, 1.0),
            ("variance of change acupuncture / waiting list, ART week 8", "brinkhaus2006", "acupuncture", "waitlist",
             "change_sd", 8.0, 2.0)):
        t = [x.id for x in likelihood.problem.trials].index(trial)
        place = {o.arm: i for i, (k, o) in enumerate(likelihood.problem.rows)
                 if k == t and o.domain == "pain" and o.statistic == statistic and o.week == week}
        column = {int(i): c for c, i in enumerate(np.asarray(likelihood.blocks.index[t]))
                  if likelihood.blocks.mask[t, c] > 0.0}
        a, b = column[place[first]], column[place[second]]
        mean = m[:, t, a] - m[:, t, b]
        var = V[:, t, a, a] + V[:, t, b, b] - 2.0 * V[:, t, a, b]
        drawn = np.exp(power * (mean + np.sqrt(np.maximum(var, 1e-12)) * student(rng, len(z))))
        value = float(np.exp(power * (published[place[first]] - published[place[second]])))
        low, middle, high = (float(q) for q in np.quantile(drawn, (0.025, 0.5, 0.975)))
        found.append({"what": what, "published": value, "predicted": [low, middle, high],
                      "inside": bool(low <= value <= high), "source": trial})
    return [*found, _heterogeneity(likelihood, z)]


def _heterogeneity(likelihood: Likelihood, z: np.ndarray) -> dict[str, Any]:
    """Between-trial spread of what arms share over that of what is a needled arm's own, log of pain."""
    theta = values(z.T)
    shared = np.asarray(theta["trial_context_sd"] * theta["context_plateau"] * theta["context.needling_open"])
    ratio = shared / np.asarray(theta["trial_needle_sd"])
    low, middle, high = (float(q) for q in np.quantile(ratio, (0.025, 0.5, 0.975)))
    return {"what": "between trials: spread of the shared response / of a needled arm's own (above 1: it is shared)",
            "published": None, "predicted": [low, middle, high], "inside": bool(low > 1.0),
            "source": "art2006_change_sd"}


def plainly(theories: Mapping[str, Any]) -> list[str]:
    """What the trials say about the theories, in plain sentences."""
    said = []
    for row in theories["weights"]:
        share = 100.0 * row["learned"]
        if share < 20.0:
            said.append(f"The trials say next to nothing about {row['weight']} ({row['theory']}): they remove "
                        f"{share:.0f} % of what was unsure before.")
    trusted = [row for row in theories["left_out"]
               if row["k"] <= MOST_K and row["trials"] > 2 * row["not_trusted"]]
    said += [f"How unseen trials would be predicted without {row['without']} cannot be told by weighting the draws "
             "made with it: too few draws or trials carry the sum."
             for row in theories["left_out"] if row not in trusted]
    apart = [row for row in trusted if abs(row["difference"]) > max(2.0 * row["se"], TELLING)]
    alike = [row["without"] for row in trusted if row not in apart]
    if alike:
        said.append(f"Leaving out {' or '.join(alike)} changes the prediction of unseen trials by less than can be "
                    "told from chance: the trials do not tell with it from without it.")
    said += [f"Without {row['without']} unseen trials are predicted {'worse' if row['difference'] < 0 else 'better'} "
             f"({row['difference']:.1f}, SE {row['se']:.1f})." for row in apart]
    return said

