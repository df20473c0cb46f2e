"""`deqi forecast --batch`: one patient a line in, one result a line out; a bad line does not stop the rest."""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..care import plan_from
from ..errors import DeqiError, InputError
from ..reading import parse_mapping
from ..writing import replacing
from .assessment import parse_patient
from .single import forecast_patient

LONGEST_LINE = 1_000_000
DRAWS = 256
"""Particles of each patient: one block of the solver, one core; each lives several futures."""
AHEAD = 64
"""Lines in work at a time, so that a batch of any length fits the memory."""
LINE = '{"id": ..., "patient": {...}, "plan": ...}'


def run_batch(source: Path, target: Path, weeks: Sequence[int], *, seed: int) -> dict[str, int]:
    """Forecast every line of a JSON Lines file.

    Arguments:
        source: lines `{"id", "patient", "plan"}`.
        target: where results go, in the same order; written whole or not at all.
        weeks: weeks from now.
        seed: of every random number, the same for each patient.

    Returns:
        how many forecasts and how many errors.

    Raises:
        InputError: the source cannot be read or the target not written.
    """
    counts = {"forecasts": 0, "errors": 0}
    try:
        stream = source.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=str(source),
                         accepted="a JSON Lines file") from None
    with (stream, replacing(target) as draft,
          draft.open("w", encoding="utf-8", errors="backslashreplace") as out,  # a lone surrogate, as JSON escapes it
          ThreadPoolExecutor(1 + (os.cpu_count() or 1)) as threads):
        def one(line: tuple[int, str]) -> dict[str, Any]:
            return _one(*line, source.name, weeks, seed)

        for result in _in_order(threads, one, _filled(stream)):
            counts["errors" if "error" in result else "forecasts"] += 1
            out.write(json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n")
    return counts


def _filled(stream: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(stream, 1) if line.strip())


def _in_order(threads: Executor, work: Callable[[tuple[int, str]], dict[str, Any]],
              lines: Iterable[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    running: deque[Any] = deque()
    for line in lines:
        running.append(threads.submit(work, line))
        if len(running) >= AHEAD:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _one(number: int, line: str, file: str, weeks: Sequence[int], seed: int) -> dict[str, Any]:
    name, where = None, f"{file} line {number}"
    try:
        row = _row(line, where)
        name = _label(row.get("id"), where)
        for key in row.keys() - {"id", "patient", "plan"}:
            raise InputError("unknown key", file=where, field=str(key)[:60], accepted="id, patient, plan")
        patient = parse_patient({"patient": row.get("patient")}, file=where)
        plan = plan_from(row.get("plan", "nothing"), file=where)
        return forecast_patient(patient, plan, weeks, seed=seed, draws=DRAWS) | {"id": name}
    except DeqiError as error:
        return {"id": name, "error": str(error)}


def _row(line: str, where: str) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise InputError("line too long", file=where, accepted=f"{LONGEST_LINE} characters")
    try:
        row = parse_mapping(line, json_text=True)
    except InputError as error:
        raise InputError(error.message, file=where, found=error.found, accepted=LINE) from None
    if not isinstance(row, dict):
        raise InputError("not an object", file=where, accepted=LINE)
    return row


def _label(name: Any, where: str) -> str | float | None:
    if name is None or isinstance(name, str | int) or (isinstance(name, float) and math.isfinite(name)):
        return name
    raise InputError("not a label", file=where, field="id", found=name, accepted="a text or a number")
