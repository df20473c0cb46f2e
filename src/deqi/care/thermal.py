"""Heat and cold on the back, at home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from deqi.care.course import Course


@dataclass(frozen=True, kw_only=True)
class Heat(Course):
    """A course of heat; `device` decides how warm and how deep."""

    care: ClassVar[str] = "heat"

    device: Literal["wrap", "pack", "blanket", "bath", "lamp"]


@dataclass(frozen=True, kw_only=True)
class Cold(Course):
    """A course of cold; `device` decides how cold."""

    care: ClassVar[str] = "cold"

    device: Literal["ice", "gel", "peas", "spray"]
