"""A PostgreSQL server of the tests' own, from the machine's packages, on a socket in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)


def programs() -> Path | None:
    """The folder of the server's programs, or None where there is none."""
    found = shutil.which("initdb")
    return next((path for path in FOLDERS if (path / "initdb").exists()), Path(found).parent if found else None)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Start a server, and give the SQLAlchemy URL of its first database; stop it and remove its files at the end."""
    folder, bin = Path(tempfile.mkdtemp(prefix="deqi-pg-")), programs()
    assert bin is not None
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:  # the server refuses to be run by root
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        start = ["runuser", "-u", user, "--"] if os.geteuid() == 0 else []
        subprocess.run([*start, *command], check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120)

    try:
        run(str(bin / "initdb"), "-D", f"{folder}/data", "-U", "deqi", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = (f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=200 "
                   "-c fsync=off -c full_page_writes=off")  # no test cuts this server's power
        run(str(bin / "pg_ctl"), "-D", f"{folder}/data", "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql+psycopg://deqi@/postgres?host={folder}"
        finally:
            run(str(bin / "pg_ctl"), "-D", f"{folder}/data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
