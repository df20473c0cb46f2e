"""The three-compartment controller 3CC-r: how long muscle holds a load, how it tires and how it recovers.

Xia and Frey-Law 2008; Frey-Law, Looft and Heitsman 2012, doi 10.1016/j.jbiomech.2012.04.018; rest multiplier: Looft
2018, doi 10.1016/j.jbiomech.2018.06.005. Shares of the motor units, u resting, a active and q fatigued
(u + a + q = 1), follow a target load L, a share of maximal force:

    a' = C - F a ;  q' = F a - R~ q ;  u' = -C + R~ q
    C  = lD min(L - a, u)  if a < L,  else  lR (L - a)
    R~ = r R  if a >= L (rest, or a falling load),  else  R

With the generic parameters a load of 20, 30, 50, 70 % is held for 516.9, 271.5, 108.3, 45.1 s by the closed form and
517.7, 271.9, 108.5, 45.2 s by the equations, 0.4 % apart at most. Neither row rounds throughout to the 517, 272, 108,
45 s that are quoted. A hold that ends once force has fallen by 1 % (`force_loss=0.01`) is up to 3 % longer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

from deqi.errors import InputError
from deqi.evidence import fact

from .comparison import Comparison

TRACKING = 10.0  # lD = lR in 1/s; assumed: it only has to be fast
_EDGE = 1e-9  # keeps rounding at a = L from switching the recovery rate
_LOOFT = "arithmetic on the generic parameters (Looft 2018, doi 10.1016/j.jbiomech.2018.06.005)"


@dataclass(frozen=True)
class Muscle:
    """Rates of a muscle group: fatigue F and recovery R in 1/s, and the factor r by which rest speeds recovery."""

    fatigue: float
    recovery: float
    rest_multiplier: float


@dataclass(frozen=True)
class Shares:
    """Shares of the motor units, 0-1; they add up to 1."""

    resting: float = 1.0
    active: float = 0.0
    fatigued: float = 0.0


RESTED = Shares()
GENERIC = Muscle(fact("fat_default_F").value, fact("fat_default_R").value, fact("fat_rest_multiplier").value)
KNEE_EXTENSORS = Muscle(*fact("fat_knee_extensor_FRr").value)
ELBOW = Muscle(*(*fact("fat_elbow_FR").value, fact("fat_rest_multiplier").value))


def hold(load: float, seconds: float, muscle: Muscle = GENERIC, start: Shares = RESTED) -> Shares:
    """Follow a constant load for a while; chained calls are work and rest.

    Arguments:
        load: target as a share of maximal force, 0 (rest) to 1.
        seconds: for how long.
        muscle: whose rates.
        start: the shares at the beginning.
    Returns: the shares at the end.
    Raises: InputError for a load outside 0-1 or a negative time.
    """
    _check(load)
    if seconds < 0:
        raise InputError("a time cannot be negative", field="seconds", found=seconds, accepted="0 or more")
    return Shares(*(float(share) for share in _solve(load, seconds, muscle, start).y[:, -1]))


def endurance_seconds(load: float, muscle: Muscle = GENERIC, force_loss: float = 0.0) -> float:
    """How long a rested muscle holds a constant load, by solving the equations.

    Arguments:
        load: share of maximal force, above 0 and up to 1.
        muscle: whose rates.
        force_loss: share of the load by which force may fall short before the hold has failed; at 0 it ends when
            resting and active units together no longer reach the load.
    Returns: seconds; infinite where the load is still held after twenty recovery times.
    Raises: InputError for a load outside 0-1.
    """
    _check(load)

    def reserve(_: float, shares: Any) -> float:
        return shares[0] + shares[1] - load * (1.0 - force_loss)

    longest = 20.0 / muscle.recovery
    ends = _solve(load, longest, muscle, RESTED, reserve).t_events[0]
    return longest * float(ends[0]) if len(ends) else math.inf


def endurance_closed_form(load: float, muscle: Muscle = GENERIC) -> float:
    """How long a rested muscle holds a constant load if activation follows the load at once.

    T = -ln(1 - R (1 - L) / (F L)) / R, from q' = F L - R q until q = 1 - L.
    Arguments and errors as `endurance_seconds`. Returns: seconds; infinite up to the sustainable load.
    """
    _check(load)
    if load <= sustainable_load(muscle):
        return math.inf
    return -math.log1p(-muscle.recovery * (1.0 - load) / (muscle.fatigue * load)) / muscle.recovery


def sustainable_load(muscle: Muscle = GENERIC) -> float:
    """The largest load held for ever, R / (F + R), as a share of maximal force."""
    return muscle.recovery / (muscle.fatigue + muscle.recovery)


def recovery_time_constant(resting: bool, muscle: Muscle = GENERIC) -> float:
    """Time constant of recovery from fatigue in seconds: 1 / (r R) at rest, 1 / R under load."""
    return 1.0 / (muscle.recovery * (muscle.rest_multiplier if resting else 1.0))


def comparisons() -> tuple[Comparison, ...]:
    """Endurance by the equations (band 2 %), sustainable load and recovery with the generic parameters."""
    held = ((0.2, 517.0), (0.3, 272.0), (0.5, 108.0), (0.7, 45.0))
    return (
        *(Comparison("3CC-r", f"endurance at {load:.0%} of maximal force", seconds, endurance_seconds(load),
                     0.02 * seconds, "s", f"{_LOOFT}; band 2 %") for load, seconds in held),
        Comparison("3CC-r", "sustainable load", 8.6, 100 * sustainable_load(), 0.05, "% of maximal force", _LOOFT),
        Comparison("3CC-r", "recovery time under load", 18.0, recovery_time_constant(False) / 60, 0.5, "min", _LOOFT),
        Comparison("3CC-r", "recovery time at rest", 73.0, recovery_time_constant(True), 0.5, "s", _LOOFT),
    )


def _check(load: float) -> None:
    if not 0.0 <= load <= 1.0:
        raise InputError("a load is a share of maximal force", field="load", found=load, accepted="0 to 1")


def _solve(load: float, seconds: float, muscle: Muscle, start: Shares,
           ends: Callable[[float, Any], float] | None = None) -> Any:
    from scipy.integrate import solve_ivp  # slow to import

    def rates(_: float, shares: Any) -> list[float]:
        resting, active, fatigued = shares
        reached = active >= load - _EDGE
        drive = TRACKING * (load - active if reached else min(load - active, resting))
        back = muscle.recovery * (muscle.rest_multiplier if reached else 1.0) * fatigued
        tire = muscle.fatigue * active
        return [seconds * (back - drive), seconds * (drive - tire), seconds * (tire - back)]

    if ends is not None:
        ends.terminal, ends.direction = True, -1.0  # type: ignore[attr-defined]  # as SciPy asks
    # over a unit of time: LSODA never returns from a span near the smallest float
    return solve_ivp(rates, (0.0, 1.0), astuple(start), method="LSODA", events=ends, rtol=1e-8, atol=1e-10)
