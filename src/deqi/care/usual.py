"""What a person gets otherwise: usual care, a waiting list, or a placebo that is no needle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from deqi.care.course import Course


@dataclass(frozen=True, kw_only=True)
class UsualCare(Course):
    """Usual care by a general practitioner, by the guideline, or by a physiotherapist."""

    care: ClassVar[str] = "usual_care"

    kind: Literal["gp", "guideline", "physiotherapy"]

    @classmethod
    def continuous(cls, stated: Mapping[str, Any]) -> bool | None:
        """With sessions or without."""
        return None

    @property
    def with_practitioner(self) -> bool:
        """A stated session is a visit."""
        return True


@dataclass(frozen=True, kw_only=True)
class Waiting(Course):
    """A waiting list: nothing is done and the person knows that others are treated."""

    care: ClassVar[str] = "waiting"

    @classmethod
    def continuous(cls, stated: Mapping[str, Any]) -> bool | None:
        """Waiting has weeks, no sessions."""
        return True


@dataclass(frozen=True, kw_only=True)
class Placebo(Course):
    """A placebo other than sham needling.

    Attributes:
        kind: a pill or a cream (weeks only), an injection or a device without current or light (sessions).
        open_label: whether the person knows.
    """

    care: ClassVar[str] = "placebo"

    kind: Literal["pill", "cream", "injection", "device"]
    open_label: bool

    @classmethod
    def continuous(cls, stated: Mapping[str, Any]) -> bool | None:
        """Pill and cream are taken for weeks; injection and device have sessions."""
        return stated.get("kind") in ("pill", "cream")

    @property
    def with_practitioner(self) -> bool:
        """An injection or a device is given in a visit."""
        return self.kind in ("injection", "device")
