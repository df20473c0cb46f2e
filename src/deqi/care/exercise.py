"""Exercise: walking and other ways to move, supervised or at home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from deqi.care.course import Course


@dataclass(frozen=True, kw_only=True)
class Exercise(Course):
    """A course of exercise.

    Attributes:
        kind: what is done.
        intensity: how hard.
        supervised: whether someone leads it; otherwise it is done alone.
    """

    care: ClassVar[str] = "exercise"

    kind: Literal["walking", "aerobic", "strength", "motor_control", "yoga", "pilates", "tai_chi", "general"]
    intensity: Literal["light", "moderate", "vigorous"]
    supervised: bool

    @property
    def with_practitioner(self) -> bool:
        """A supervised session is a visit."""
        return self.supervised
