"""Writes files whole or not at all: to a draft beside the target, then put in its place."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deqi.errors import InputError


@contextlib.contextmanager
def replacing(path: str | Path, *, private: bool = False) -> Iterator[Path]:
    """Give a draft path to write to; it takes the target's place when the block ends well, and vanishes otherwise.

    Arguments:
        path: of the target.
        private: only its owner may read it.

    Raises:
        InputError: the folder does not exist or cannot be written to.
    """
    check_place(path)
    target = Path(path)
    try:
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        os.close(handle)
        try:
            yield Path(draft)
            with open(draft, "rb") as finished:
                os.fsync(finished.fileno())
            os.chmod(draft, 0o600 if private else 0o666 & ~_umask())
            os.replace(draft, target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", file=str(path),
                         accepted="a path in a folder that exists and can be written to") from None


def check_place(path: str | Path) -> None:
    """Make sure that a file may be put there, before the work that fills it.

    Raises:
        InputError: there is no such folder, or something other than a file stands there already.
    """
    target = Path(path)
    if not os.path.isdir(target.parent):
        raise InputError("cannot be written (no such folder)", file=str(path),
                         accepted="a path in a folder that exists")
    if os.path.exists(target) and not os.path.isfile(target):
        raise InputError("cannot be written (not a file)", file=str(path), accepted="the path of a file, new or old")


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
