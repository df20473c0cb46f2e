"""Steady firing of the dorsal-horn network of Zhang, Janik and Grill 2014 (ModelDB 168414), run by run.

The published network is not simulated here: its runs are facts (`zhang_ss_*`), each the mean rate of the projection
cell over 1-4 s from a single Poisson seed, with the surround-version weights, coarser segmentation of the inhibitory
cell and dt 0.025 ms. What a reduced model of the gate claims can be held against them, run by run (`rmse`). 38 such
runs are on record; one more, without local inhibition, stands apart (`disinhibited_rate`).
Source: https://github.com/ModelDBRepository/168414.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cache

from deqi.errors import InputError
from deqi.evidence import fact, facts

from .comparison import Comparison

_FILE, _PREFIX = "science/mechanism_gate", "zhang_ss_"
_SOURCE = "runs of ModelDB 168414, rounded to whole Hz"

Predict = Callable[[float, float, float, float, float], float]


@dataclass(frozen=True, order=True)
class Setting:
    """Afferent rates in Hz and the factor k on the weights from excitatory interneurone to projection cell."""

    C: float
    a_beta: float = 0.0
    a_delta: float = 0.0
    surround: float = 0.0
    k: float = 1.0


@dataclass(frozen=True)
class Run:
    """One run: its setting, the rate of the projection cell in Hz, and the fact's id."""

    setting: Setting
    hertz: float
    fact: str


@cache
def runs() -> tuple[Run, ...]:
    """All steady-state runs, in the order of their facts; settings are read from the ids."""
    found = (f for f in facts(_FILE) if f.id.startswith(_PREFIX))
    return tuple(Run(_setting(f.id), float(f.value), f.id) for f in found)


def rate(C: float, a_beta: float = 0.0, a_delta: float = 0.0, surround: float = 0.0, k: float = 1.0) -> float:
    """The rate of the projection cell in a run with exactly this setting.

    Arguments:
        C, a_beta, a_delta, surround: rates in Hz of the C, A-beta, A-delta and surround A-beta fibres.
        k: factor on the weights from excitatory interneurone to projection cell.
    Returns: Hz.
    Raises: InputError when there is no such run; it names the nearest three.
    """
    wanted = Setting(C, a_beta, a_delta, surround, k)
    for run in runs():
        if run.setting == wanted:
            return run.hertz
    spans = [max(values) for values in zip(*(astuple(run.setting) for run in runs()), strict=True)]

    def distance(run: Run) -> float:
        pairs = zip(astuple(run.setting), astuple(wanted), spans, strict=True)
        return math.hypot(*((there - here) / span for there, here, span in pairs))

    nearest = "; ".join(_words(run.setting) for run in sorted(runs(), key=distance)[:3])
    raise InputError("the network was not run with this setting", found=_words(wanted), accepted=nearest)


def disinhibited_rate() -> float:
    """The rate in Hz with C at 2 Hz and A-beta at 20 Hz once the local inhibitory cell has no output."""
    return float(fact("zhang_disinhibition").value)


def rmse(predict: Predict) -> float:
    """How far a model of the gate is from the network over all runs.

    Arguments:
        predict: gives Hz for C, a_beta, a_delta, surround and k, in the order of `rate`.
    Returns: the root of the mean squared error in Hz.
    """
    return math.sqrt(math.fsum((predict(*astuple(run.setting)) - run.hertz) ** 2 for run in runs()) / len(runs()))


# C, A-beta, A-delta, surround in Hz, k; projection cell in Hz
_REPORTED = (
    (0.5, 0, 0, 0, 1, 0), (1, 0, 0, 0, 1, 2), (2, 0, 0, 0, 1, 35), (3, 0, 0, 0, 1, 79), (5, 0, 0, 0, 1, 105),
    (10, 0, 0, 0, 1, 117),
    (2, 5, 0, 0, 1, 17), (2, 10, 0, 0, 1, 5), (2, 20, 0, 0, 1, 3), (2, 30, 0, 0, 1, 21), (2, 50, 0, 0, 1, 79),
    (5, 5, 0, 0, 1, 58), (5, 20, 0, 0, 1, 17), (5, 50, 0, 0, 1, 90),
    (10, 5, 0, 0, 1, 73), (10, 20, 0, 0, 1, 35), (10, 50, 0, 0, 1, 101),
    (2, 0, 0, 5, 1, 4), (2, 0, 0, 10, 1, 0), (2, 0, 0, 50, 1, 0), (5, 0, 0, 20, 1, 0),
    (2, 0, 5, 0, 1, 99), (2, 0, 20, 0, 1, 160),
    (2, 0, 0, 0, 0.5, 1), (2, 0, 0, 0, 0.75, 11), (2, 0, 0, 0, 1.25, 53), (2, 0, 0, 0, 1.5, 64),
    (2, 20, 0, 0, 0.5, 3), (2, 20, 0, 0, 1.5, 3),
)


def comparisons() -> tuple[Comparison, ...]:
    """The rates reported for the network beside the table, the closing by the surround, and disinhibition."""
    rows = [Comparison("Zhang 2014", _words(Setting(*setting)), float(hertz), rate(*setting), 0.5, "Hz", _SOURCE)
            for *setting, hertz in _REPORTED]
    closing = 100 * (rate(2, surround=5) / rate(2) - 1)
    return (
        *rows,
        Comparison("Zhang 2014", "change by surround 5 Hz, C 2 Hz", -88.0, closing, 0.5, "%",
                   "runs of ModelDB 168414, rounded to whole per cent"),
        Comparison("Zhang 2014", "C 2 Hz, A-beta 20 Hz without local inhibition", 160.0, disinhibited_rate(), 0.5,
                   "Hz", _SOURCE),
    )


def _setting(id: str) -> Setting:
    """`zhang_ss_C0p5_B0_D0_S0_k1`: a letter and a number each, with p for the decimal point."""
    parts = id.removeprefix(_PREFIX).split("_")
    return Setting(*(float(part[1:].replace("p", ".")) for part in parts))


def _words(s: Setting) -> str:
    named = (("A-beta", s.a_beta), ("A-delta", s.a_delta), ("surround", s.surround))
    text = ", ".join((f"C {s.C:g} Hz", *(f"{name} {hertz:g} Hz" for name, hertz in named if hertz)))
    return text if s.k == 1 else f"{text}, k {s.k:g}"
