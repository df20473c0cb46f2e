"""A server in a process of its own, as a practice runs it, for tests that kill it or ask it over the network."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from deqi.web.settings import Settings

START_SECONDS = 60.0


@dataclass
class Server:
    """One server, which may be stopped and started again.

    Attributes:
        settings: of the store.
        is_real: whether the model forecasts; otherwise the stub.
        url: its address, on a port that was free.
        more: of the environment.
    """

    settings: Settings
    is_real: bool = False
    url: str = field(init=False)
    more: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = ["-c", "from deqi.cli import main; main()", "serve", "--no-browser"] if self.is_real else [
            "-m", "tests.web.serving"]
        self.process = subprocess.Popen(
            [sys.executable, *command], env=environment(self.settings, self.port) | self.more,
            cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert self.process.poll() is None, "the server ended"
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """SIGKILL: the process gets no chance to finish anything."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def serving(settings: Settings, *, is_real: bool = False, **more: str) -> Iterator[Server]:
    """A server for the time of a test."""
    server = Server(settings, is_real, more=more)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def environment(settings: Settings, port: int = 8765) -> dict[str, str]:
    """What a server or a store command reads, of these settings."""
    url = settings.database.replace("postgresql+psycopg", "postgresql")
    return {**os.environ, "DEQI_DATA": str(settings.data), "DEQI_DATABASE_URL": url,
            "DEQI_KEY_FILE": str(settings.key_file), "DEQI_PORT": str(port)}


if __name__ == "__main__":
    import uvicorn

    from deqi.web.app import create_app
    from deqi.web.settings import settings

    from .stub import StubEngine

    read = settings()
    app = create_app(read, StubEngine())  # type: ignore[arg-type]  # the stub is no Engine
    uvicorn.run(app, host="127.0.0.1", port=read.port, log_level="warning")
