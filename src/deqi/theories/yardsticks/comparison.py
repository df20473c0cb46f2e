"""A number known of a published model beside the number that its implementation here gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """One number, twice.

    Attributes:
        model: the published model, by first author and year.
        quantity: what is compared, with its setting.
        published: the number as printed, or as computed from the printed parameters; `source` says which.
        value: what the implementation here gives.
        tolerance: how far apart the two may lie, in `unit`: the rounding of the published number unless `source`
            gives a band.
        unit: the unit of all three numbers.
        source: where the published number comes from.
    """

    model: str
    quantity: str
    published: float
    value: float
    tolerance: float
    unit: str
    source: str

    @property
    def met(self) -> bool:
        """Whether the two numbers agree within the tolerance."""
        return abs(self.value - self.published) <= self.tolerance
