"""Everything that is wrong with one form or one file, told at once."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError


class Problems(InputError):
    """Several errors in one thing that was sent; nothing of it is taken in.

    Attributes:
        errors: each, in the order of the form or the file.
    """

    def __init__(self, errors: Sequence[InputError]):
        self.errors = tuple(errors)
        first = self.errors[0]
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        super().__init__(first.message + more, file=first.file, field=first.field, found=first.found,
                         accepted=first.accepted)

    def __reduce__(self) -> tuple[type[Problems], tuple[tuple[InputError, ...]]]:
        return type(self), (self.errors,)

    @property
    def by_field(self) -> dict[str, str]:
        """The first message about each field, for a form."""
        told: dict[str, str] = {}
        for error in self.errors:
            told.setdefault(str(error.field), str(InputError(error.message, found=error.found,
                                                             accepted=error.accepted)))
        return told
