"""Yardsticks: published models of muscle, dorsal horn and pain scores, each as a small system of its own.

They stand beside deqi's model and share nothing with it but the evidence, so that its theories can be measured
against them. Each module is one model:

- `three_compartment`: endurance, fatigue and recovery of muscle (3CC-r).
- `zhang2014`: steady firing of the dorsal-horn network, run by run.
- `boucher2018`: pain of osteoarthritis under naproxen and placebo, arm means over weeks.
- `mercier2014`: chronic pain under tramadol, tapentadol and placebo, arm means over weeks.
- `plan2012`: daily pain scores under placebo.
"""

from __future__ import annotations

from . import boucher2018, mercier2014, plan2012, three_compartment, zhang2014
from .comparison import Comparison

__all__ = [
    "Comparison",
    "boucher2018",
    "comparisons",
    "mercier2014",
    "plan2012",
    "three_compartment",
    "zhang2014",
]


def comparisons() -> tuple[Comparison, ...]:
    """Every number known of the five models, with what their implementations here give.

    Returns: the comparisons, model by model.
    """
    models = (three_compartment, zhang2014, boucher2018, mercier2014, plan2012)
    return tuple(row for model in models for row in model.comparisons())
