"""`deqi serve`: opens the store, and answers browsers on this computer, or behind a reverse proxy with TLS."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
import webbrowser
from collections.abc import Callable
from urllib.request import urlopen

import uvicorn

from ..errors import InputError
from .accounts import is_new
from .app import create_app
from .lanes import one_heap
from .settings import Settings

PATIENCE_SECONDS = 30.0


def serve(settings: Settings, *, browser: bool = True, tell: Callable[[str], None] | None = None) -> None:
    """Answer until interrupted.

    Arguments:
        settings: of the server.
        browser: open one when the server answers.
        tell: shows a line; None for standard output, at once, also where that is a pipe to a log.

    Raises:
        InputError: a public address without TLS in front, or a port that is taken.
        DeqiError: the store cannot be opened.
    """
    check_address(settings)
    one_heap()
    tell = tell or _tell
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("deqi.web").setLevel(logging.INFO)
    app = create_app(settings)
    address = f"http://{settings.host}:{settings.port}"
    new = is_new(app.state.database)
    public = settings.public_url or address
    opened = f"{public}/first/{app.state.first_code}" if new else public
    tell(f"deqi answers on {public}; its records are in {settings.data}")
    if new:
        tell(f"Make the first account at {opened}")
    tell("Stop it with Ctrl-C.")
    if browser:
        threading.Thread(target=_open, args=(address, opened), daemon=True).start()
    uvicorn.run(app, host=settings.host, port=settings.port, access_log=False, log_level="warning",
                server_header=False, date_header=True, proxy_headers=settings.is_secure,
                forwarded_allow_ips=settings.proxy, timeout_keep_alive=30)


def check_address(settings: Settings) -> None:
    """Refuse to listen where others could read along.

    Raises:
        InputError: the address is not this computer's own and no TLS proxy is named, or the port is taken.
    """
    try:
        own = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        own = settings.host == "localhost"
    if not own and settings.public_url is None:
        raise InputError("others could read what is sent to this address", field="DEQI_HOST", found=settings.host,
                         accepted="127.0.0.1; or, with a reverse proxy that speaks TLS in front, its https address in "
                                  "DEQI_PUBLIC_URL")
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise InputError(f"this port cannot be used ({error.strerror})", field="--port", found=settings.port,
                             accepted="a free port, such as --port 8766") from None


def _tell(line: str) -> None:
    print(line, flush=True)


def _open(address: str, opened: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            with urlopen(f"{address}/health", timeout=1):
                webbrowser.open(opened)
                return
        except OSError:
            time.sleep(0.1)
