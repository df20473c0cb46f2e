"""What a server is told, where it keeps its secrets, and what it refuses to start with."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deqi.errors import InputError
from deqi.web.app import open_store
from deqi.web.serve import check_address
from deqi.web.settings import Settings, settings


def _settings(tmp_path: Path, **given: str) -> Settings:
    return settings(tmp_path / "data", 18765, {"DEQI_KEY_FILE": str(tmp_path / "keys" / "key"), **given})


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_may_enter_the_folder_and_read_key_and_records(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        given = _settings(tmp_path)
        database = open_store(given)
        modes = {path.name: _mode(path) for path in given.data.glob("deqi.sqlite*")}
        database.close()
    finally:
        os.umask(before)
    assert _mode(given.data) == 0o700 and _mode(given.key_file.parent) == 0o700
    assert _mode(given.key_file) == 0o600
    assert modes == {f"deqi.sqlite{end}": 0o600 for end in ("", "-wal", "-shm")}
    assert given.data not in given.key_file.parents, "a copy of the records has not the key in it"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "clinic.example", "127.0.0.1.example"])
def test_an_address_that_others_reach_needs_tls_in_front(tmp_path: Path, host: str) -> None:
    with pytest.raises(InputError, match="DEQI_PUBLIC_URL"):
        check_address(_settings(tmp_path, DEQI_HOST=host))


def test_the_own_computer_and_a_proxy_with_tls_are_accepted(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost"):
        check_address(_settings(tmp_path, DEQI_HOST=host))
    check_address(_settings(tmp_path, DEQI_HOST="0.0.0.0", DEQI_PUBLIC_URL="https://clinic.example"))


@pytest.mark.parametrize(("name", "value"), [
    ("DEQI_PUBLIC_URL", "http://clinic.example"), ("DEQI_PUBLIC_URL", "clinic.example"), ("DEQI_PUBLIC_URL", "https://"),
    ("DEQI_DATABASE_URL", "mysql://user@host/name"), ("DEQI_DATABASE_URL_FILE", "/nowhere/secret")])
def test_what_cannot_be_is_told_by_its_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(InputError, match=name):
        _settings(tmp_path, **{name: value})


@pytest.mark.parametrize("text", ["x", "0", "65536", "-1", "80 ", "٨٠"])
def test_a_port_is_a_number(tmp_path: Path, text: str) -> None:
    if text == "80 ":
        assert settings(tmp_path, None, {"DEQI_PORT_FILE": _file(tmp_path, text)}).port == 80
        return
    with pytest.raises(InputError, match="DEQI_PORT"):
        settings(tmp_path, None, {"DEQI_PORT": text})


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = "postgresql://deqi:s3cret@/deqi\n"
    given = _settings(tmp_path, DEQI_DATABASE_URL_FILE=_file(tmp_path, secret))
    assert given.database == "postgresql+psycopg://deqi:s3cret@/deqi"


def test_the_command_refuses_in_one_line_and_gives_no_secret_away(tmp_path: Path) -> None:
    environment = {**os.environ, "DEQI_HOST": "0.0.0.0", "DEQI_DATABASE_URL": "postgresql://deqi:s3cret@/deqi",
                   "DEQI_KEY_FILE": str(tmp_path / "key"), "DEQI_DATA": str(tmp_path / "data")}
    environment.pop("DEQI_PUBLIC_URL", None)
    command = [sys.executable, "-c", "from deqi.cli import main; main()"]
    run = subprocess.run([*command, "serve", "--no-browser", "--port", "18765"],
                         env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 2 and run.stdout == ""
    assert len(run.stderr.strip().splitlines()) == 1 and "DEQI_PUBLIC_URL" in run.stderr
    assert "s3cret" not in run.stderr and "Traceback" not in run.stderr


def test_only_the_proxys_word_about_tls_is_believed(tmp_path: Path) -> None:
    """By the middleware that `serve` switches on, with the address that it is given."""
    import asyncio

    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    seen: list[tuple[str, str]] = []

    async def inner(scope, receive, send):  # type: ignore[no-untyped-def]  # an ASGI app
        seen.append((scope["scheme"], scope["client"][0]))

    proxied = ProxyHeadersMiddleware(inner, trusted_hosts=_settings(tmp_path).proxy)
    headers = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"203.0.113.9")]
    for client in ("127.0.0.1", "192.168.1.66"):
        scope = {"type": "http", "scheme": "http", "client": (client, 1), "headers": headers}
        asyncio.run(proxied(scope, None, None))  # type: ignore[arg-type]  # they are not used
    assert seen == [("https", "203.0.113.9"), ("http", "192.168.1.66")]


def _file(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(text, encoding="utf-8")
    return str(path)
