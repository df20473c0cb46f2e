"""Results of consultations for tests: an ordinary one with every key, and what other people's look like."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
FULL: dict[str, Any] = json.loads((DATA / "consult_full.json").read_text(encoding="utf-8"))
"""A consultation of `examples/older_adult_anticoagulant.yaml` with every key a report can show."""


def full(**parts: Any) -> dict[str, Any]:
    """The full result with some keys replaced."""
    return copy.deepcopy(FULL) | parts


def emergency() -> dict[str, Any]:
    """Screening found an emergency; the result holds nothing else."""
    finding = {"id": "saddle_numbness", "kind": "emergency", "action": "emergency", "source": "ces",
               "text": "New numbness between the legs."}
    return full(screening=FULL["screening"] | {"status": "emergency", "findings": [finding]}, options=[],
                tailored=None, theories=None)


def refer() -> dict[str, Any]:
    """A doctor first: no needles, so that column is closed."""
    finding = {"id": "cancer", "kind": "urgent", "action": "urgent", "source": "cancer",
               "text": "Cancer before, and weight lost."}
    result = full(screening=FULL["screening"] | {
        "status": "refer", "findings": [finding, *FULL["screening"]["findings"]],
        "forbids": ["deep_needling", "electro", "needling"]})
    result["options"][3] |= {"available": False, "why_not": "Your answers speak against needles for now.",
                             "forecast": [], "benefit": None}
    result["options"][4] |= {"notes": [], "harms": FULL["options"][2]["harms"]}
    result["tailored"] |= {"plan": ["Walking 30 min 5 times a week for 12 weeks"], "prescription": {}}
    return result


def outside() -> dict[str, Any]:
    """A person whom no trial stands for: a reason, and no number."""
    result = full(options=[], tailored=None, theories=None)
    result["patient"]["applicability"] = {"status": "outside", "reasons": ["Pregnancy was not studied."], "sources": []}
    return result
