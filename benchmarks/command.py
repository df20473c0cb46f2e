"""`deqi consult` as a user meets it: a fresh process, with an empty and with a filled cache of compiled functions."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import task

ROOT = Path(__file__).parents[1]


def measure() -> dict[str, task.Spread | None]:
    """Wall seconds, `cold` and `warm`; None where the command fails."""
    program = Path(sys.executable).with_name("deqi")
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"JAX_COMPILATION_CACHE_DIR": folder}

        def run() -> None:
            subprocess.run([program, "consult", "examples/gerac_chronic.yaml", "--report", f"{folder}/report.html"],
                           cwd=ROOT, env=env, check=True, capture_output=True)

        try:
            return {"cold": task.timed(run, 1), "warm": task.timed(run)}
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"  consult could not be timed: {error}")
            return {"cold": None, "warm": None}
