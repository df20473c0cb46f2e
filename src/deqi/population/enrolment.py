"""The day of enrolment: how much of a reported score is the person's own level, and how much a bad week.

Usual level and spell are normal on the logit scale; people enrol in a bad week, and the further a score lies from
others' the more of it is the week's. That is regression to the mean, at no further parameter.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

LEAST, MOST = 0.02, 0.98


def log_odds(share: Any) -> Any:
    """Log-odds of pain as a share of its scale, kept off the ends."""
    p = jnp.clip(share, LEAST, MOST)
    return jnp.log(p / (1.0 - p))


def spell_behind(observed: Any, mean: Any, total_sd: Any, spell_sd: Any, bad_week: Any, z: Any) -> Any:
    """The spell behind an observed score, log-odds.

    Arguments:
        observed: the score at enrolment, NRS.
        mean: mean score of those it is held against, NRS.
        total_sd: their spread, NRS.
        spell_sd: spread of spells within a person, log-odds.
        bad_week: how much worse than usual people are when they enrol, log-odds.
        z: standard normal place of the person.
    """
    p = jnp.asarray(mean) / 10.0
    share = jnp.minimum(jnp.square(spell_sd / (total_sd / 10.0 / (p * (1.0 - p)))), 0.9)
    expected = bad_week + share * (log_odds(observed / 10.0) - log_odds(p))
    return expected + spell_sd * jnp.sqrt(1.0 - share) * z


def usual_level(observed: Any, spell: Any) -> Any:
    """The usual level without the spell, NRS."""
    return 10.0 / (1.0 + jnp.exp(-(log_odds(observed / 10.0) - spell)))
