"""How strongly the context of a plan works in each draw of the averages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float

from ..care.action import actions
from ..care.context import context_kind
from ..care.course import Course


def strength(courses: Iterable[Course], days: Float[np.ndarray, "times"], averages: Mapping[str, np.ndarray]
             ) -> Float[np.ndarray, "times draws"]:
    """Strength of the context over time: courses act independently, and fade after their end.

    The same rule as `Timeline.context_at`, with the strengths and the fading of each draw.

    Arguments:
        courses: the courses of a plan.
        days: times, days since the start of the plan.
        averages: draws of the averages, each of shape (draws,).
    """
    alone = actions()["context"]["fades_in_days"]["alone"]["value"]
    left = np.ones((len(days), len(averages["context_fade_weeks"])))
    for course in courses:
        start, end = 7.0 * course.schedule.start_week, 7.0 * course.schedule.end_week
        fade = 7.0 * averages["context_fade_weeks"] if course.with_practitioner else alone
        kept = np.exp(-np.maximum(days[:, None] - end, 0.0) / fade)
        left *= 1.0 - averages[f"context.{context_kind(course)}"] * kept * (days[:, None] >= start)
    return 1.0 - left
