"""Columns that are encrypted at rest: names, free words and whole documents.

The recipe is Fernet (AES-128 in CBC mode, authenticated by HMAC-SHA256). Keys live in a file outside the database, the
newest first; older ones still open what they closed. From the oldest one comes the seal of the audit trail and of
backups, so that it must never leave the file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator

from ...errors import DeqiError, InputError
from ..settings import private_file, private_folder

KEYRING = "deqi_keyring"


class WrongKey(DeqiError):
    """What is stored was encrypted with a key that is not in the key file."""


class Keyring(MultiFernet):
    """The keys of a store.

    Arguments:
        keys: the newest first.

    Attributes:
        seal: the key of seals, derived from the oldest one, which stays when newer ones are put before it.
    """

    def __init__(self, keys: Sequence[str]):
        super().__init__([Fernet(key) for key in keys])
        self.seal = HKDF(SHA256(), 32, salt=None, info=b"deqi seals").derive(base64.urlsafe_b64decode(keys[-1]))


def keyring(path: Path, *, create: bool = False) -> Keyring:
    """Read the keys.

    Arguments:
        path: of the key file, a key a line.
        create: make one where there is none.

    Raises:
        InputError: no such file, or no keys in it.
    """
    if create and not path.exists():
        private_folder(path.parent)
        private_file(path, Fernet.generate_key().decode() + "\n")
    try:
        return Keyring(path.read_text(encoding="ascii").split())
    except OSError as error:
        raise InputError(f"the key cannot be read ({error.strerror})", file=str(path),
                         accepted="the key file that this store was made with (DEQI_KEY_FILE)") from None
    except ValueError:
        raise InputError("not a key file", file=str(path), accepted="one or more keys, as deqi makes them") from None


def add_key(path: Path) -> None:
    """Put a new key before the others; what is written from now on is closed with it."""
    private_file(path, Fernet.generate_key().decode() + "\n" + path.read_text(encoding="ascii"))


def give_keys(dialect: Dialect, keys: Keyring) -> None:
    """Let the columns of one database open and close with these keys."""
    setattr(dialect, KEYRING, keys)


def sealed(dialect: Dialect, *told: object) -> str:
    """The seal of plain data, HMAC-SHA-256: nobody makes it without the key. The first part tells what it is."""
    return hmac.new(_keys(dialect).seal, json.dumps(told).encode(), hashlib.sha256).hexdigest()


class Encrypted(TypeDecorator[str]):
    """A text that is encrypted at rest."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Close."""
        return None if value is None else _keys(dialect).encrypt(value.encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Open.

        Raises:
            WrongKey: it was closed with another key, or was tampered with.
        """
        if value is None:
            return None
        try:
            return _keys(dialect).decrypt(value).decode()
        except InvalidToken:
            raise WrongKey("a record cannot be opened: it was encrypted with another key, or changed from outside; "
                           "name the right key file in DEQI_KEY_FILE") from None


class Document(TypeDecorator[Any]):
    """Plain data (what JSON holds) that is encrypted at rest; replaced as a whole, never changed in place."""

    impl = Encrypted
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """As JSON."""
        return None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """From JSON."""
        return None if value is None else json.loads(value)


def _keys(dialect: Dialect) -> Keyring:
    keys: Keyring = getattr(dialect, KEYRING)
    return keys
