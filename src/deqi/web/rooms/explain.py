"""The Explain tab: one session in a body of the model, with theories switched off and drugs given."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from ...errors import InputError
from .. import explain_figures
from ..engine import Engine
from ..guard import Who
from ..page import locale_of, page

router = APIRouter()
NUMBERS, ONE_OF, LISTS = ("hz", "minutes"), ("body", "mode", "site"), ("given",)
THEORIES = ("gate", "neurotransmitters", "inflammation", "circulation", "muscle")
GROUPS = ("outcome", *THEORIES)


@router.get("/explain", name="explain")
def explain(request: Request, caller: Who) -> Response:
    """A session as usual."""
    return _shown(request, {}, "explain/explain.html.j2")


@router.post("/explain", name="explain_try")
def explain_try(request: Request, caller: Who) -> Response:
    """A session as chosen: for htmx its pictures, else the whole page."""
    template = "explain/_pictures.html.j2" if "hx-request" in request.headers else "explain/explain.html.j2"
    return _shown(request, read(caller.form, request), template)


def read(form: FormData, request: Request) -> dict[str, Any]:
    """Choices of a form, as the engine takes them; the theories ticked are those that are on.

    Raises:
        InputError: a number that is none.
    """
    fmt = locale_of(request)
    found: dict[str, Any] = {name: fmt.parse_number(str(form.get(name)), name) for name in NUMBERS if name in form}
    found |= {name: str(form.get(name)) for name in ONE_OF if name in form}
    found |= {name: [str(value) for value in form.getlist(name)] for name in LISTS}
    present = [str(value) for value in form.getlist("theories")]
    for name in present:
        if name not in THEORIES:
            raise InputError("not a choice", field="theories", found=name[:40], accepted=", ".join(THEORIES))
    return found | {"without": [name for name in THEORIES if name not in present]}


def _shown(request: Request, choices: dict[str, Any], template: str) -> Response:
    engine: Engine = request.app.state.engine
    found = engine.explain(**choices)
    groups = {name: [row for row in found["series"] if row["theory"] == name] for name in GROUPS}
    return page(request, template, found=found, now=found["choices"], groups=groups, drawn=explain_figures)
