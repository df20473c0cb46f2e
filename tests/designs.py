"""A small trial for tests, which changes make into others."""

from __future__ import annotations

from typing import Any

from deqi.trial.design import Design, parse_design

SHORT = "30 min twice a week for 2 weeks"
SMALL: dict[str, Any] = {
    "eligibility": {"pain": {"least": 4}, "duration_weeks": {"least": 26}, "disability": {"least": 20, "most": 90}},
    "recruitment": {"consent": 0.8},
    "arms": [{"id": "verum", "plan": f"acupuncture {SHORT}"},
             {"id": "sham", "plan": f"penetrating sham acupuncture {SHORT}"},
             {"id": "waiting", "plan": "waiting list for 4 weeks"}],
    "allocation": {"ratio": [2, 1, 1]},
    "blinding": {"found_out": 0.2},
    "expectation": {"mean": 6, "sd": 2},
    "attrition": {"per_week": 0.05, "odds_per_point": 1.5},
    "visits": [2, 4],
    "analysis": {"primary": {"week": 4}},
    "n": [24, 40],
    "trials": 6,
    "seed": 3,
}


def small(**changes: Any) -> Design:
    """The small trial with other values; None leaves a key out."""
    asked = {**SMALL, **changes}
    return parse_design({"trial": {key: value for key, value in asked.items() if value is not None}}, file="trial.yaml")
