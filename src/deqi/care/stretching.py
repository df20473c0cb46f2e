"""Stretching, gentle or intense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from deqi.care.course import Course


@dataclass(frozen=True, kw_only=True)
class Stretching(Course):
    """A course of stretching.

    Attributes:
        intensity: gentle (to mild tension) or intense (to the limit of tolerance).
        supervised: whether someone leads it; otherwise it is done alone.
    """

    care: ClassVar[str] = "stretching"

    intensity: Literal["gentle", "intense"]
    supervised: bool

    @property
    def with_practitioner(self) -> bool:
        """A supervised session is a visit."""
        return self.supervised
