"""The few shapes of curve that the equations share."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def softplus(z: Any, b: Any) -> Any:
    """b ln(1 + exp(z/b)): zero far below the threshold, z far above it (sp(z; b) of the gate dossier)."""
    return jnp.maximum(z, 0.0) + b * jnp.log1p(jnp.exp(-jnp.abs(z) / b))


def inverse_softplus(y: Any, b: Any) -> Any:
    """The z for which softplus(z, b) = y, y > 0."""
    return y + b * jnp.log(-jnp.expm1(-y / b))


def saturation(x: Any, half: Any) -> Any:
    """x / (x + half): 0 at 0, one half at `half`, 1 far beyond."""
    return x / (x + half)


def power(x: Any, n: float) -> Any:
    """x to the n for x >= 0, with a finite gradient at 0 when n > 1."""
    positive = x > 0.0
    return jnp.where(positive, jnp.where(positive, x, 1.0) ** n, 0.0)


def logistic(z: Any) -> Any:
    """1 / (1 + exp(-z)), written so that neither tail overflows."""
    tail = jnp.exp(-jnp.abs(z))
    return jnp.where(z >= 0.0, 1.0, tail) / (1.0 + tail)


def logit(p: Any) -> Any:
    """ln(p / (1 - p))."""
    return jnp.log(p) - jnp.log1p(-p)
