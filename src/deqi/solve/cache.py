"""Keeps compiled functions on disk, so that the second run of a command starts at once."""

from __future__ import annotations

import os
from pathlib import Path

import jax


def keep_compiled() -> None:
    """Turn on JAX's persistent compilation cache, unless the user has set one up or has no place for it.

    `JAX_COMPILATION_CACHE_DIR` chooses the folder; otherwise it lies in the user's cache folder.
    """
    if jax.config.values["jax_compilation_cache_dir"] is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "deqi" / "compiled"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
