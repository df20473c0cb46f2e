"""What every request to the API passes: its body must be JSON that every program reads alike."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from ...errors import DeqiError
from ..edges import LARGEST_BODY

DEEPEST = 40
SURROGATES = re.compile("[\ud800-\udfff]")
UNSAFE = frozenset({"POST", "PUT", "PATCH"})


class Unreadable(DeqiError):
    """A body that is no JSON, or JSON that not every program reads alike."""


class NotJson(DeqiError):
    """A body of another kind than JSON."""


class Missing(DeqiError):
    """Something that is not there."""


class Outdated(DeqiError):
    """A change made from a version that is no longer the current one."""


class _Body(Request):
    """A request whose JSON is read strictly; what is wrong is told after the guard has let the caller pass."""

    async def json(self) -> Any:
        """The body; None if it cannot be read."""
        try:
            return strict_json(await self.body())
        except Unreadable as error:
            self.state.unreadable = error
            return None


class StrictRoute(APIRoute):
    """A route of the API."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its body read strictly."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_Body(request.scope, request.receive))

        return strict


def json_only(request: Request) -> None:
    """Refuse a body that is not JSON, or cannot be read.

    Raises:
        NotJson, Unreadable: says what is accepted.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in UNSAFE and kind != "application/json":
        raise NotJson(f"content-type: not JSON; found {kind[:80]!r}; accepted: application/json")
    error: Unreadable | None = getattr(request.state, "unreadable", None)
    if error is not None:
        raise error


def strict_json(body: bytes) -> Any:
    """Read JSON as RFC 8259 has it, of at most forty levels, without NUL, lone surrogates, or a name given twice.

    Raises:
        Unreadable: it is not so.
    """
    if len(body) > LARGEST_BODY:
        raise Unreadable("body: too large")
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_no_number, parse_float=_finite,
                           object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise Unreadable("body: not text; accepted: JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"body: not JSON ({error.msg} at line {error.lineno} column {error.colno}); accepted: JSON in "
                         "UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"body: a number or a nesting beyond all use ({type(error).__name__}); accepted: at most "
                         f"{DEEPEST} levels, numbers as a double holds them") from None
    _check(found, 0)
    return found


def _check(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise Unreadable(f"body: nested too deeply; accepted: at most {DEEPEST} levels")
    if isinstance(value, str) and ("\0" in value or SURROGATES.search(value)):
        raise Unreadable("body: a text that cannot be stored; accepted: no NUL and no lone surrogates")
    if isinstance(value, int) and abs(value) > 2**63:
        raise Unreadable("body: a number beyond all use; accepted: numbers of at most 64 bits")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check(key, depth)
            _check(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth + 1)


def _no_number(text: str) -> float:
    raise Unreadable(f"body: {text} is not a number of JSON; accepted: finite numbers")


def _finite(text: str) -> float:
    number = float(text)
    return number if abs(number) <= 1.7976931348623157e308 else _no_number(text[:20])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"body: a name given twice; found {twice[:80]!r}; accepted: each once")
    return found
