"""`deqi forecast --batch`: one patient a line in, one result a line out; a bad line does not stop the rest."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..care import plan_from
from ..errors import DeqiError, InputError
from ..writing import replacing
from .assessment import parse_patient
from .single import forecast_patient

DRAWS = 1024
LONGEST_LINE = 1_000_000


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
    with stream, replacing(target) as draft, draft.open("w", encoding="utf-8") as out, \
            ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        def one(line: tuple[int, str]) -> dict[str, Any]:
            return _one(*line, source.name, weeks, seed)

        for result in threads.map(one, _filled(stream)):
            counts["errors" if "error" in result else "forecasts"] += 1
            out.write(json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n")
    return counts


def _filled(stream: Iterator[str] | Any) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(stream, 1) if line.strip())


def _one(number: int, line: str, file: str, weeks: Sequence[int], seed: int) -> dict[str, Any]:
    name: Any = None
    try:
        if len(line) > LONGEST_LINE:
            raise InputError("line too long", file=f"{file} line {number}", accepted=f"{LONGEST_LINE} characters")
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError("not JSON", file=f"{file} line {number}",
                             accepted='{"id": ..., "patient": {...}, "plan": ...}') from None
        if not isinstance(row, dict):
            raise InputError("not an object", file=f"{file} line {number}", accepted='{"id", "patient", "plan"}')
        name = row.get("id")
        for key in row.keys() - {"id", "patient", "plan"}:
            raise InputError("unknown key", file=f"{file} line {number}", field=str(key)[:60],
                             accepted="id, patient, plan")
        patient = parse_patient({"patient": row.get("patient")}, file=f"{file} line {number}")
        plan = plan_from(row.get("plan", "nothing"), file=f"{file} line {number}")
        return forecast_patient(patient, plan, weeks, seed=seed, draws=DRAWS) | {"id": name}
    except DeqiError as error:
        return {"id": name if isinstance(name, str | int | float | None) else None, "error": str(error)}
