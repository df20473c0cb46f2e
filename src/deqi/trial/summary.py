"""What a result says, as plain numbers: flow of people, estimates, power over sizes, and courses of the arms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import analyse, power
from .analyse import Estimates
from .design import Design
from .mixed import Mixed
from .tally import BINS, SCREENED, SUMS, WIDTH, Tally
from .truth import Truth
from .worlds import CENTRAL, POSTERIOR

QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


@dataclass(frozen=True)
class Simulated:
    """All that was simulated for a design.

    Arguments:
        design: of the trials.
        tallies: by world, `central` and `posterior`.
        truth: of every contrast in the central world.
        mixed: by world, the mixed models at each size; empty unless the primary analysis is one.
    """

    design: Design
    tallies: Mapping[str, Tally]
    truth: Truth
    mixed: Mapping[str, Sequence[Mixed]]

    def look(self, world: str, contrast: int, cell: int, method: str, size: int = -1) -> Estimates:
        """The estimates of one contrast in all trials of one size.

        Arguments:
            world: central or posterior.
            contrast, cell, size: their indices; the largest size by default.
            method: ancova, ttest, responders or mixed.
        """
        if method == "mixed":
            return self.mixed[world][size].estimates[contrast]
        weights = self.design.weights(self.design.contrasts[contrast])
        sums = self.tallies[world].by_size[:, size, :, cell]
        return analyse.METHODS[method](sums, weights, self.design.analysis.level)

    def true(self, contrast: int, cell: int, method: str) -> float:
        """What a contrast is in the central world: difference of means, or of shares of responders."""
        by_contrast = self.truth.responder_difference if method == "responders" else self.truth.difference
        return float(by_contrast[contrast, cell])

    def true_se(self, contrast: int, cell: int, method: str) -> float:
        """Monte Carlo standard error of the same; for shares as if the people under each arm were others."""
        if method != "responders":
            return float(self.truth.se[contrast, cell])
        share = self.truth.responders[:, cell]
        weights = self.design.weights(self.design.contrasts[contrast])
        return float(np.sqrt(weights**2 @ np.maximum(share * (1.0 - share), 0.0) / self.truth.people))


def estimates(found: Simulated) -> list[dict[str, Any]]:
    """Every contrast, outcome, week and method at the largest size."""
    return [_estimate(found, contrast, cell, method) for contrast, cell, method in _asked(found)]


def curve(found: Simulated) -> dict[str, Any]:
    """Power, assurance and the textbook's power of the primary analysis at each size, and people for 80 %."""
    design, primary = found.design, found.design.analysis.primary
    cell = design.cell(primary.outcome, primary.week)
    rows = [_at_size(found, contrast, cell, size) for contrast in range(len(design.contrasts))
            for size in range(len(design.sizes))]
    enough = []
    for contrast in design.contrasts:
        own = [row for row in rows if row["contrast"] == contrast.title]
        enough.append({"contrast": contrast.title, "wanted": power.WANTED} | {
            key: power.people_for(design.sizes, [row[key] for row in own]) for key in ("power", "assurance")})
    return {"primary": primary.model_dump(mode="json"), "curve": rows, "n_for_80": enough}


def flow(design: Design, tally: Tally) -> dict[str, Any]:
    """People of one trial of the largest size, on average, from those assessed to those analysed.

    Arguments:
        design: of the trials.
        tally: of one world.
    """
    screened = dict(zip(SCREENED, (tally.screened / tally.trials).tolist(), strict=True))
    seen = tally.by_size[:, -1, :, :, SUMS.index("n")]
    visits = sorted(design.visits)
    first = [design.cell(design.outcomes[0], week) for week in visits]
    primary = visits.index(design.analysis.primary.week)
    arms = []
    for index, arm in enumerate(design.arm_ids):
        allocated = float(tally.allocated[index]) / tally.trials
        at = seen[:, index, first]
        arms.append({
            "arm": arm, "allocated": allocated, "found_out": float(tally.found_out[index]) / tally.trials,
            "visits": [{"week": week, "seen": float(at[:, k].mean()), "lost": allocated - float(at[:, k].mean()),
                        "seen_80": np.quantile(at[:, k], (0.1, 0.9)).tolist()} for k, week in enumerate(visits)],
            "analysed": float(at[:, primary].mean())})
    return {"n": design.sizes[-1], "trials": tally.trials, "assessed": screened["assessed"],
            "excluded": {name: screened[name] for name in ("pain", "duration_weeks", "disability")},
            "declined": screened["declined"], "randomised": screened["randomised"], "arms": arms}


def courses(design: Design, tally: Tally) -> list[dict[str, Any]]:
    """Reported scores of each arm week by week, of all people, those lost from sight too."""
    mean, sd = tally.weekly_mean, tally.weekly_sd
    return [{"arm": arm, "outcome": outcome, "weeks": list(range(design.weeks + 1)), "mean": mean[a, o].tolist(),
             "sd": sd[a, o].tolist(), "quantiles": _spread(tally.histogram[a, o], WIDTH[outcome])}
            for a, arm in enumerate(design.arm_ids) for o, outcome in enumerate(design.outcomes)]


def _spread(histogram: np.ndarray, width: float) -> dict[str, list[float]]:
    """Quantiles in each week, shape (weeks, bins) of counts."""
    below = np.cumsum(histogram, axis=1) / np.maximum(histogram.sum(axis=1, keepdims=True), 1)
    return {str(q): [float(width * min(int(np.searchsorted(row, q)), BINS - 1)) for row in below] for q in QUANTILES}


def _asked(found: Simulated) -> Iterator[tuple[int, int, str]]:
    design, primary = found.design, found.design.analysis.primary
    for contrast in range(len(design.contrasts)):
        for cell, place in enumerate(design.cells()):
            yield from ((contrast, cell, method) for method in analyse.METHODS)
            if found.mixed and place == (primary.outcome, primary.week):
                yield contrast, cell, "mixed"


def _estimate(found: Simulated, contrast: int, cell: int, method: str) -> dict[str, Any]:
    design = found.design
    outcome, week = design.cells()[cell]
    seen, doubted = (found.look(world, contrast, cell, method) for world in (CENTRAL, POSTERIOR))
    truth, unsure, kept = found.true(contrast, cell, method), found.true_se(contrast, cell, method), seen.analysed
    values, possible = seen.estimate[kept], doubted.estimate[doubted.analysed]
    mean, sd = (_or_none(np.mean, values, 1), _or_none(lambda x: np.std(x, ddof=1), values, 2))
    covered, better = power.covered(seen, truth), -1.0 if method != "responders" else 1.0
    return {
        "contrast": design.contrasts[contrast].title, "of": list(design.contrasts[contrast].of),
        "versus": list(design.contrasts[contrast].versus), "outcome": outcome, "week": week, "method": method,
        "n": design.sizes[-1], "trials": {CENTRAL: int(kept.size), POSTERIOR: int(doubted.analysed.size)},
        "not_analysed": {CENTRAL: int((~kept).sum()), POSTERIOR: int((~doubted.analysed).sum())},
        "truth": truth, "truth_se": unsure, "mean": mean, "sd": sd, "mean_se": _or_none(np.mean, seen.se[kept], 1),
        "bias": None if mean is None else mean - truth,
        "bias_mc_se": None if sd is None else float(np.hypot(sd / np.sqrt(len(values)), unsure)),
        "coverage": {"level": 1.0 - design.analysis.level, "value": covered.value, "mc_se": covered.mc_se},
        **_shares(seen, doubted, better),
        "quantiles": {str(q): _or_none(lambda x, q=q: np.quantile(x, q), possible, 1) for q in QUANTILES}}


def _shares(seen: Estimates, doubted: Estimates, better: float) -> dict[str, Any]:
    """Shares of trials that reject, and of those that do so against the first side of the contrast."""
    rows: dict[str, float | None] = {}
    for name, mc, found in (("power", "mc_se", seen), ("assurance", "assurance_mc_se", doubted)):
        hit = power.rejected(found)
        rows |= {name: hit.value, mc: hit.mc_se,
                 f"{name}_against": power.share(found.rejects & (better * found.estimate < 0.0)).value}
    return rows


def _at_size(found: Simulated, contrast: int, cell: int, size: int) -> dict[str, Any]:
    design, method = found.design, found.design.analysis.primary.method
    weights = design.weights(design.contrasts[contrast])
    sums = found.tallies[CENTRAL].by_size[:, size, :, cell]
    people = sums[..., analyse.N].mean(axis=0)
    textbook = power.analytic(found.true(contrast, cell, "ttest"), analyse.change_sd(sums, weights), people, weights,
                              design.analysis.level)
    seen, doubted = (found.look(world, contrast, cell, method, size) for world in (CENTRAL, POSTERIOR))
    return {"contrast": design.contrasts[contrast].title, "n": design.sizes[size],
            **_shares(seen, doubted, 1.0 if method == "responders" else -1.0),
            "ttest": power.rejected(found.look(CENTRAL, contrast, cell, "ttest", size)).value, "analytic": textbook}


def _or_none(statistic: Any, values: np.ndarray, least: int) -> float | None:
    """A statistic of at least so many values; None of fewer."""
    return float(statistic(values)) if len(values) >= least else None
