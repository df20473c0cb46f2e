"""`deqi predict`: what a trial would report, with its sampling error and the spread between trials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..care import Plan, sentences
from ..care.context import context_kind
from ..errors import InputError
from ..population import posterior
from ..population.averages import prior_draws
from .arms import care_of, dose_text
from .likelihood import FREEDOM, Likelihood
from .problem import Problem, build, is_used
from .records import Statistic
from .trial import Observation, Trial, load_trial

QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
DRAWS, REPEATS = 100, 40
"""Draws of the averages, and simulated trials for each."""


def predict_file(path: Path, seed: int = 1) -> dict[str, Any]:
    """Predict a trial file.

    Arguments:
        path: a file of the trial schema; what it reports is not looked at beyond the baseline.
        seed: of every random number.

    Returns:
        `arms`, `contrasts`, `not_predicted` and `provenance`, as the interface has them, in the units of the file.

    Raises:
        InputError: a file that is refused, or nothing in it that deqi predicts.
    """
    trial = load_trial(path)
    return predict(trial, seed=seed, file=str(path))


def predict(trial: Trial, seed: int = 1, file: str | None = None) -> dict[str, Any]:
    """Predict one trial; see `predict_file`."""
    asked, left_out = _asked(trial), _left_out(trial)
    if not asked:
        raise InputError("nothing here that deqi predicts", file=file, field="outcomes",
                         found="; ".join(dict.fromkeys(row["reason"] for row in left_out)) or "no outcome",
                         accepted="pain or disability in an arm at a week after enrolment")
    problem = build([replace(trial, observations=asked)], everything=True)
    drawn = simulated(problem, seed)
    arms = [_row(o, drawn[:, i]) for i, (_, o) in enumerate(problem.rows)]
    from .. import __version__

    return {
        "arms": arms, "contrasts": _contrasts(trial, problem, drawn),
        "read_as": _read_as(trial, max(o.week for o in asked)), "not_predicted": left_out,
        "outside": trial.outside,
        "provenance": {"version": __version__, "posterior": posterior.stamp() or None, "seed": seed,
                       "people": len(problem.places.spell), "draws": DRAWS},
    }


def _left_out(trial: Trial) -> list[dict[str, str]]:
    """What the file has and deqi does not predict, with the reason."""
    moments = [(f"{o.outcome} in {o.arm}, week {o.week:g}", "the pain of a moment; deqi predicts a week's average")
               for o in trial.observations if o.momentary]
    return [{"what": what, "reason": reason} for what, reason in (*trial.unused, *moments)]


def _read_as(trial: Trial, weeks: float) -> list[dict[str, Any]]:
    """What deqi took each arm to be: care in words, contexts alone where it has no equations, and its dose."""
    rows = []
    for arm in trial.arms:
        cares = care_of(arm, trial, weeks)
        middle = cares[len(cares) // 2]
        modelled = {context_kind(course) for course in middle.courses}
        care = sentences(Plan(middle.courses)) if middle.courses else []
        rows.append({"arm": arm.id, "care": care, "dose": dose_text(cares),
                     "context_alone": [part.kind for part in middle.parts if part.kind not in modelled]})
    return rows


def _asked(trial: Trial) -> tuple[Observation, ...]:
    """One row for each arm, outcome, week and statistic: levels and changes both, whatever the file gives."""
    found: dict[tuple[Any, ...], Observation] = {}
    kinds: tuple[Statistic, ...]
    for o in trial.observations:
        if not is_used(o):
            continue
        if o.statistic == "responders":
            found[o.arm, o.outcome, o.week, "responders", str(o.rule)] = replace(o, value=None)
        elif o.statistic in ("mean", "change", "percent_change", "difference"):
            arms = [arm for arm in (o.arm, o.versus) if arm]
            kinds = ("mean", "change") if o.statistic != "percent_change" else ("percent_change",)
            for arm in arms:
                for kind in kinds:
                    key = (arm, o.outcome, o.week, kind)
                    if key not in found or kind == o.statistic:
                        own = next((a.n for a in trial.arms if a.id == arm), None)
                        n = own if o.versus else o.n        # behind a difference stand the people of both arms
                        found[key] = replace(o, arm=arm, versus=None, statistic=kind, value=None, n=n, se=None)
    return tuple(sorted(found.values(), key=lambda o: (o.outcome, o.week, o.arm, o.statistic)))


def simulated(problem: Problem, seed: int, z: np.ndarray | None = None) -> np.ndarray:
    """Statistics that simulated trials would report, shape (trials, statistics), in the units of the likelihood."""
    likelihood = Likelihood.of(problem)
    rng = np.random.default_rng([seed, 11])
    places = z if z is not None else _places(rng)
    index, mask = (np.asarray(x[0]) for x in (likelihood.blocks.index, likelihood.blocks.mask))
    used = index[mask > 0.0]
    found = np.empty((len(places) * REPEATS, problem.size))
    for k, place in enumerate(places):
        m, V = (np.asarray(x[0]) for x in likelihood.moments(jnp.asarray(place)))
        here = np.flatnonzero(mask > 0.0)
        root = np.linalg.cholesky(V[np.ix_(here, here)] + 1e-8 * np.eye(len(here)))
        scale = np.sqrt((FREEDOM - 2.0) / rng.chisquare(FREEDOM, REPEATS))[:, None]
        noise = scale * rng.standard_normal((REPEATS, len(here)))
        found[k * REPEATS:(k + 1) * REPEATS, used] = m[here] + noise @ root.T
    return _possible(problem, found)


def _places(rng: np.random.Generator) -> np.ndarray:
    drawn = posterior.places()
    if drawn is None:
        return prior_draws(DRAWS, rng).T
    return drawn.T[np.linspace(0, drawn.shape[1] - 1, DRAWS).round().astype(int)]


def _possible(problem: Problem, drawn: np.ndarray) -> np.ndarray:
    for i, (_, o) in enumerate(problem.rows):
        if o.statistic == "mean":
            drawn[:, i] = np.clip(drawn[:, i], 0.0, 100.0)
        elif o.statistic == "responders":
            drawn[:, i] = np.clip(drawn[:, i], 0.0, 1.0)
        elif o.statistic == "percent_change":
            drawn[:, i] = np.maximum(drawn[:, i], -100.0)
    return drawn


def _row(o: Observation, values: np.ndarray) -> dict[str, Any]:
    statistic = "percent" if o.statistic == "responders" else o.statistic
    row = {"arm": o.arm, "outcome": o.outcome, "week": o.week, "statistic": statistic}
    if o.rule is not None:
        row["responder"] = _rule(o)
    return row | _summed(o.to_own(values))


def _rule(o: Observation) -> str:
    rule = o.rule
    assert rule is not None
    if rule.relative is not None:
        return f"{rule.domain} at least {100 * rule.relative:.0f} % less"
    if rule.absolute is not None:
        return f"{rule.domain} at least {rule.absolute:.0f} of 100 less"
    return f"{rule.domain} below {rule.level:.0f} of 100"


def _summed(values: np.ndarray) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "sd": float(np.std(values)),
            "quantiles": {str(q): float(np.quantile(values, q)) for q in QUANTILES}}


def _contrasts(trial: Trial, problem: Problem, drawn: np.ndarray) -> list[dict[str, Any]]:
    """Differences between all pairs of arms in the order of the file; those that stand in it alone as it has them."""
    at: dict[tuple[str, float], dict[str, int]] = {}
    for i, (_, o) in enumerate(problem.rows):
        if o.statistic in ("change", "percent_change"):
            at.setdefault((o.outcome, o.week), {})[o.arm] = i
    stated = {(o.outcome, o.week, o.arm, o.versus) for o in trial.observations if o.versus}
    place = [arm.id for arm in trial.arms].index
    rows = []
    for (outcome, week), arms in at.items():
        for arm, versus in combinations(sorted(arms, key=place), 2):
            pairs: Iterable[tuple[str, str]] = [(arm, versus)]
            if (outcome, week, versus, arm) in stated:
                pairs = [(versus, arm)]
            for a, b in pairs:
                o = problem.rows[arms[a]][1]
                difference = o.to_own(drawn[:, arms[a]]) - o.to_own(drawn[:, arms[b]])
                rows.append({"arm": a, "versus": b, "outcome": outcome, "week": week} | _summed(difference))
    return rows


def lines(found: dict[str, Any]) -> list[str]:
    """A table for the terminal."""
    shown = ["What the trial would report, with sampling error and the spread between trials (80 % interval):"]
    outcome = None
    for row in found["arms"]:
        if row["statistic"] == "change":
            continue
        if row["outcome"] != outcome:
            outcome = row["outcome"]
            shown.append(f"{outcome}")
        q = row["quantiles"]
        what = row.get("responder", row["statistic"])
        shown.append(f"  week {row['week']:>5g}  {row['arm']:<22} {what:<12} {row['mean']:>7.1f}"
                     f"   {q['0.1']:.1f} to {q['0.9']:.1f}")
    for row in found["contrasts"]:
        q = row["quantiles"]
        shown.append(f"  week {row['week']:>5g}  {row['arm']} minus {row['versus']}, {row['outcome']}:"
                     f" {row['mean']:.1f}   {q['0.1']:.1f} to {q['0.9']:.1f}")
    shown.append("Arms read as:")
    for row in found["read_as"]:
        care = "; ".join([*row["care"], *(f"context of {kind}" for kind in row["context_alone"])]) or "nothing"
        shown.append(f"  {row['arm']}: {care} (dose {row['dose']})")
    if found["outside"]:
        shown.append(f"Outside the people deqi is calibrated on: {found['outside']}.")
    if found["not_predicted"]:
        reasons = dict.fromkeys(f"{row['what']}: {row['reason']}" for row in found["not_predicted"])
        shown += ["Not predicted:", *(f"  {reason}" for reason in list(reasons)[:12])]
    return shown
