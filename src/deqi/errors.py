"""The few exceptions that deqi raises on purpose."""

from __future__ import annotations


class DeqiError(Exception):
    """Anything deqi refuses to do, with a message fit to be shown to its user."""


class InputError(DeqiError):
    """Bad input, told in one line: where it stands, what was found, what is accepted.

    Arguments:
        message: what is wrong, in a few words.
        file: the file's name as the user gave it, if any.
        field: the path of the field in the file (`patient.pain.week_average`), if any.
        found: what stands there.
        accepted: what would do.
    """

    def __init__(self, message: str, *, file: str | None = None, field: str | None = None,
                 found: object = None, accepted: str | None = None):
        self.message, self.file, self.field = message, file, field
        self.found, self.accepted = found, accepted
        super().__init__(str(self))

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.file, self.field) if part)
        text = f"{where}: {self.message}" if where else self.message
        if self.found is not None:
            found = repr(self.found)
            text += f"; found {found if len(found) <= 80 else found[:77] + '...'}"
        if self.accepted:
            text += f"; accepted: {self.accepted}"
        return text


class EquationError(DeqiError):
    """A model asked for a state, signal, parameter or theory that does not exist."""
