"""The folder of a run: everybody's scores as Parquet partitions, what is finished, and which design it belongs to."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..body.system import equations_hash, parameters_hash
from ..errors import InputError
from ..population import posterior
from ..writing import replacing, write_text
from .design import Design
from .tally import Tally

if TYPE_CHECKING:
    from .run import Chunk

MANIFEST = "_manifest.json"
"""As the tallies, it begins with what readers of Parquet folders pass over: the folder is one data set."""
ACCEPTED = "a new or empty folder, or one that the same command began"
ROOMS = ("body", "care", "population", "solve", "trial")
"""Rooms whose code and tables make a simulated trial."""
STALE_SECONDS = 3600.0
"""Age from which a draft is one that a killed run left, and not another run's."""


@dataclass(frozen=True)
class Folder:
    """Where a run keeps its results; a chunk is finished once its tally stands beside its partition.

    Arguments:
        path: of the folder.
        chunk: people in one chunk, as when the folder was begun.
    """

    path: Path
    chunk: int

    @classmethod
    def open(cls, path: str | Path, design: Design, chunk: int) -> Folder:
        """Begin a folder, or go on with one of the same design.

        Arguments:
            path: of the folder; its parent exists.
            design: the design.
            chunk: people in one chunk, where the folder is new.

        Raises:
            InputError: it cannot be a folder, holds other things, or belongs to another run.
        """
        folder = Path(path)
        if not folder.parent.is_dir():
            raise InputError("cannot keep results there (no such folder)", file=str(path),
                             accepted="a folder in one that exists")
        made = made_of(design)
        try:
            folder.mkdir(exist_ok=True)
            entries = [entry for entry in folder.iterdir() if not entry.name.endswith(".part")]
            manifest = folder / MANIFEST
            if not entries:
                write_text(manifest, json.dumps(made | {"chunk": chunk}, indent=2) + "\n")
            found = json.loads(manifest.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError("not a folder of simulated trials", file=str(path), accepted=ACCEPTED) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its manifest cannot be read"
            raise InputError(f"cannot keep results there ({reason})", file=str(path), accepted=ACCEPTED) from None
        other = [name for name, value in made.items() if not isinstance(found, dict) or found.get(name) != value]
        if other or not isinstance(found.get("chunk"), int):
            raise InputError(f"belongs to another run (not the same {' and '.join(other) or 'chunk'})", file=str(path),
                             accepted=ACCEPTED)
        for draft in folder.glob(".*.part"):
            if time.time() - draft.stat().st_mtime > STALE_SECONDS:
                draft.unlink(missing_ok=True)
        return cls(folder, found["chunk"])

    def tally(self, chunk: Chunk) -> Tally | None:
        """The tally of a chunk if it is finished.

        Raises:
            InputError: a file that cannot be read, or counts other people.
        """
        path = self._tally(chunk)
        if not path.exists() or not self._partition(chunk).exists():
            return None
        found = Tally.load(path)
        if int(found.allocated.sum()) != chunk.size:
            raise InputError("counts other people than its chunk has", file=str(path),
                             found=int(found.allocated.sum()), accepted=f"{chunk.size} people; remove it to go on")
        return found

    def keep(self, chunk: Chunk, tally: Tally, table: Any) -> None:
        """Write the partition of a chunk, then its tally, each whole or not at all.

        Arguments:
            chunk: the chunk.
            tally: what was counted in it.
            table: everybody's scores, a data frame.
        """
        table.insert(0, "world", chunk.world)
        with replacing(self._partition(chunk)) as draft:
            table.to_parquet(draft, index=False)
        tally.save(self._tally(chunk))

    def _partition(self, chunk: Chunk) -> Path:
        return self.path / f"{chunk.world.replace(':', '-')}-{chunk.start:012d}.parquet"

    def _tally(self, chunk: Chunk) -> Path:
        return self.path / f"_{self._partition(chunk).stem}.npz"


def made_of(design: Design) -> dict[str, Any]:
    """What makes a result: all of it must be the same for a run to go on, or to be shared out."""
    return {"design": design.hash(), "seed": design.seed, "version": __version__, "code": code_hash(),
            "equations": equations_hash(), "laboratory": parameters_hash(),
            "posterior": posterior.stamp() | posterior.attributes() if posterior.places() is not None else {}}


@cache
def code_hash() -> str:
    """SHA-256 over the code and tables that make a simulated trial."""
    package, digest = Path(__file__).parents[1], sha256()
    found = (path for room in ROOMS for path in (package / room).iterdir())
    for path in sorted(path for path in found if path.suffix in (".py", ".yaml")):
        digest.update(f"{path.parent.name}/{path.name}".encode() + path.read_bytes())
    return digest.hexdigest()
