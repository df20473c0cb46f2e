"""Work on several threads, with results in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Progress = Callable[[int], Any]
"""Called with the number of people finished since the last call."""


def mapped(function: Callable[[Any], Any], items: Iterable[Any], threads: int | None) -> Iterator[Any]:
    """Results of a function in order.

    Arguments:
        function: what to do with each item.
        items: the items.
        threads: how many at work; a core each if None.
    """
    threads = threads or os.cpu_count() or 1
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(function, items)
