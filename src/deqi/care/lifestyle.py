"""Lifestyle: sleep, sitting, weight, stress and activity, through advice, coaching or a programme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from deqi.care.course import Course


@dataclass(frozen=True, kw_only=True)
class Lifestyle(Course):
    """A change of daily life that someone helps with; with sessions (calls, classes) or without.

    Attributes:
        target: what is to change. What a person does about it is not assumed to follow.
        programme: how: advice (a talk, a book), coaching (someone keeps asking), a structured programme.
    """

    care: ClassVar[str] = "lifestyle"

    target: Literal["sleep", "sitting", "weight", "stress", "activity"]
    programme: Literal["advice", "coaching", "programme"]

    @classmethod
    def continuous(cls, stated: Mapping[str, Any]) -> bool | None:
        """With sessions or without."""
        return None

    @property
    def with_practitioner(self) -> bool:
        """A stated session is a visit or a call."""
        return True
