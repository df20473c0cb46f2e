"""Chunks on a Dask cluster: each a task of its own, a bounded number at a time, counted once whoever finishes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import DeqiError, InputError
from .design import Design
from .partitions import made_of
from .tally import Tally

if TYPE_CHECKING:
    from .run import Chunk

IN_FLIGHT = 3
"""Chunks under way for each thread of the cluster."""
PATIENCE_SECONDS = 8.0
RETRIES = 5
"""How often a chunk is tried again whose worker failed."""


def spread(design: Design, chunks: Sequence[Chunk], cluster: Any, *, tables: bool = False
           ) -> Iterator[tuple[Chunk, Tally, Any]]:
    """Simulate chunks on a cluster.

    Arguments:
        design: the design.
        chunks: what to simulate.
        cluster: address of a Dask scheduler, or a `distributed.Client`.
        tables: whether to return every person's scores.

    Returns:
        each chunk once, with its tally and scores, as they are finished.

    Raises:
        InputError: `distributed` is not installed, or nobody answers at that address.
        DeqiError: a chunk failed on the cluster again and again, or its workers have another deqi.
    """
    with _client(cluster) as client:
        from distributed import as_completed

        waiting, done = iter(chunks), as_completed()
        under_way: dict[Any, Chunk] = {}
        told, made = design.as_data(), made_of(design)

        def fill() -> None:
            """Submit until enough are under way for the workers of the moment."""
            room = IN_FLIGHT * max(sum(client.nthreads().values()), 1) - len(under_way)
            for chunk in islice(waiting, max(room, 0)):
                key = f"deqi-{made['design'][:16]}-{tables}-{chunk.world}-{chunk.start}-{chunk.stop}"
                future = client.submit(_chunk, told, chunk, tables, made, key=key, pure=True, retries=RETRIES)
                under_way[future] = chunk
                done.add(future)

        fill()
        for future in done:
            chunk = under_way.pop(future)
            try:
                found, table = future.result()
            except DeqiError:
                raise
            except Exception as error:
                raise DeqiError(f"the cluster could not finish a chunk: {error}") from error
            future.release()
            fill()
            yield chunk, found, table


def _chunk(design: dict[str, Any], chunk: Chunk, tables: bool, made: dict[str, Any]) -> tuple[Tally, Any]:
    """One chunk on a worker; a function of its arguments alone.

    Raises:
        DeqiError: the worker's deqi would not give the same numbers.
    """
    from .design import parse_design
    from .run import work

    asked = parse_design(design)
    other = [name for name, value in made_of(asked).items() if made.get(name) != value]
    if other:
        raise DeqiError(f"a worker of the cluster has another deqi ({', '.join(other)} differ)")
    return work(asked, chunk, tables=tables)


@contextmanager
def _client(cluster: Any) -> Iterator[Any]:
    try:
        import distributed
    except ImportError:
        raise InputError("a cluster needs Dask distributed, which is not installed", field="--cluster",
                         found=str(cluster), accepted="`pip install 'deqi[cluster]'`, or no cluster") from None
    if isinstance(cluster, distributed.Client):
        yield cluster
        return
    try:
        client = distributed.Client(str(cluster), timeout=PATIENCE_SECONDS)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise InputError(f"no scheduler answers ({type(error).__name__})", field="--cluster", found=str(cluster),
                         accepted="the address of a running Dask scheduler, such as tcp://host:8786") from None
    try:
        yield client
    finally:
        client.close()
