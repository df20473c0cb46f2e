"""The command that serves the consultation in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import app


@app.command()
def serve(port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="8765 unless DEQI_PORT says else")
                          ] = None,
          data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="where the records are kept")] = None,
          browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open one")] = True) -> None:
    """The consultation in a browser, on this computer."""
    from ..web.serve import serve as run
    from ..web.settings import settings

    run(settings(data, port), browser=browser)
