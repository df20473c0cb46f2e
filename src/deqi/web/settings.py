"""Where the server keeps its data, its key and its address; from the environment, or a file that it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_config_path, user_data_path

from ..errors import InputError
from ..writing import replacing

PORT = 8765
SESSION_HOURS, IDLE_MINUTES = 12, 30
"""A browser's session ends after a working day, or half an hour without use (OWASP ASVS 3.3.2)."""


@dataclass(frozen=True)
class Settings:
    """What a server was told.

    Attributes:
        data: the folder of the embedded store and its backups.
        database: a SQLAlchemy URL; SQLite in the folder unless a clinic names its PostgreSQL.
        key_file: holds the keys that encrypt what identifies a patient, newest first; never in the database.
        port: on the loopback address, or on `host`.
        host: the address to listen on.
        public_url: the https address under which a reverse proxy serves this server; None on one's own machine.
        proxy: the proxy's own address, whose word about TLS and the caller's address is believed.
        session_hours, idle_minutes: how long a browser stays signed in.
    """

    data: Path
    database: str
    key_file: Path
    port: int = PORT
    host: str = "127.0.0.1"
    public_url: str | None = None
    proxy: str = "127.0.0.1"
    session_hours: int = SESSION_HOURS
    idle_minutes: int = IDLE_MINUTES

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the server through TLS."""
        return self.public_url is not None

    @property
    def hosts(self) -> list[str]:
        """The names under which requests are answered; others are refused (DNS rebinding)."""
        own = ["127.0.0.1", "localhost"]
        return [*own, str(urlsplit(self.public_url).hostname)] if self.public_url else own


def settings(data: Path | None = None, port: int | None = None, environment: Mapping[str, str] | None = None
             ) -> Settings:
    """Read the settings.

    Arguments:
        data: the folder; None for `DEQI_DATA`, else the user's data folder.
        port: None for `DEQI_PORT`, else 8765.
        environment: `DEQI_DATA`, `DEQI_DATABASE_URL`, `DEQI_KEY_FILE`, `DEQI_PUBLIC_URL`, `DEQI_PROXY`, `DEQI_HOST`,
            `DEQI_PORT`; a value may also stand in a file that is named, as in `DEQI_DATABASE_URL_FILE`.

    Raises:
        InputError: a value that cannot be.
    """
    given = os.environ if environment is None else environment
    folder = data or Path(_value(given, "DEQI_DATA") or user_data_path("deqi", appauthor=False))
    key = Path(given.get("DEQI_KEY_FILE") or user_config_path("deqi", appauthor=False) / "key")
    url = _value(given, "DEQI_DATABASE_URL") or f"sqlite:///{folder.absolute() / 'deqi.sqlite'}"
    return Settings(folder, _driver(url), key, _port(given) if port is None else port,
                    _value(given, "DEQI_HOST") or "127.0.0.1", _https(_value(given, "DEQI_PUBLIC_URL")),
                    _value(given, "DEQI_PROXY") or "127.0.0.1")


def private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made ({error.strerror})", file=str(path),
                         accepted="a folder that can be made and written to") from None


def private_file(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    with replacing(path, private=True) as draft:
        draft.write_text(text, encoding="ascii")


def _value(given: Mapping[str, str], name: str) -> str | None:
    file = given.get(f"{name}_FILE")
    if file is None:
        return given.get(name) or None
    try:
        return Path(file).read_text(encoding="utf-8").strip() or None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", field=f"{name}_FILE", found=file,
                         accepted="a file that holds the value") from None


def _driver(url: str) -> str:
    kind = url.partition(":")[0]
    if kind in ("postgresql", "postgres"):
        return "postgresql+psycopg" + url[len(kind):]
    if kind not in ("sqlite", "postgresql+psycopg"):
        raise InputError("not a database that can be used", field="DEQI_DATABASE_URL", found=kind,
                         accepted="postgresql://user@host/name, or sqlite:///path")
    return url


def _port(given: Mapping[str, str]) -> int:
    text = _value(given, "DEQI_PORT") or str(PORT)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise InputError("not a port", field="DEQI_PORT", found=text, accepted="a whole number from 1 to 65535")
    return int(text)


def _https(url: str | None) -> str | None:
    if url is not None and (urlsplit(url).scheme != "https" or not urlsplit(url).hostname):
        raise InputError("not an https address", field="DEQI_PUBLIC_URL", found=url, accepted="https://clinic.example")
    return url and url.rstrip("/")
