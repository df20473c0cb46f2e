"""Chunks on a Dask cluster: each a task of its own, a bounded number at a time, counted once whoever finishes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import DeqiError, InputError
from .design import Design
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
        DeqiError: a chunk failed on the cluster again and again.
    """
    with _client(cluster) as client:
        from distributed import as_completed

        waiting = iter(chunks)
        threads = max(sum(worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()), 1)

        def submit(chunk: Chunk) -> Any:
            key = f"deqi-{design.hash()[:16]}-{tables}-{chunk.world}-{chunk.start}-{chunk.stop}"
            future = client.submit(_chunk, design.as_data(), chunk, tables, key=key, pure=True, retries=RETRIES)
            under_way[future] = chunk
            return future

        under_way: dict[Any, Chunk] = {}
        done = as_completed([submit(chunk) for chunk in islice(waiting, IN_FLIGHT * threads)])
        for future in done:
            chunk = under_way.pop(future)
            try:
                found, table = future.result()
            except Exception as error:
                if isinstance(error, DeqiError):
                    raise
                raise DeqiError(f"a chunk failed on the cluster {RETRIES} times: {error}") from error
            future.release()
            following = next(waiting, None)
            if following is not None:
                done.add(submit(following))
            yield chunk, found, table


def _chunk(design: dict[str, Any], chunk: Chunk, tables: bool) -> tuple[Tally, Any]:
    """One chunk on a worker; a function of its arguments alone."""
    from .design import parse_design
    from .run import work

    return work(parse_design(design), chunk, tables=tables)


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
