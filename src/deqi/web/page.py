"""Make a page: a template with the words, dates and decimals of the person who asked."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape
from starlette.routing import NoMatchFound

from .. import __version__
from ..consult import figures
from ..consult.report import crowd
from ..consult.wording import inline, number
from .catalogue import Words, texts
from .locale import Locale, negotiated


def page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a page, or for htmx a fragment of one.

    Every template sees `t` (the catalogue), `fmt` (the locale), `caller` (None before login; `who` is the same and
    may be read inside `{% call %}`, where Jinja takes the name `caller` for itself), `csrf`, `here` (the route's
    name), `status`, `link`, `counted`, and `parts` (the macros of `parts.html.j2`, nothing to import).

    Arguments:
        template: its name below `templates/`; a fragment's begins with `_`.
        status: of the response.
        context: what the template shows.

    Raises:
        jinja2.UndefinedError, MissingText: the template asks for what is not there.
    """
    return HTMLResponse(render(request, template, status=status, **context), status)


def render(request: Request, template: str, **context: Any) -> str:
    """Return a template as text, for a response that holds more than one; as `page` otherwise."""
    caller = getattr(request.state, "caller", None)
    fmt = locale_of(request)
    route = request.scope.get("route")
    words = texts(fmt.language)

    def link(name: str, **params: Any) -> str:
        return _shape(request.app, name, tuple(params)).format(**params)

    def counted(forms: Words, count: float, **more: Any) -> Markup:
        kind = fmt.plural(count)
        return fill(forms[kind if kind in forms else "other"], n=fmt.number(count), **more)

    shared = {"status": 200, **context, "t": words, "fmt": fmt, "caller": caller, "who": caller, "link": link,
              "counted": counted, "csrf": getattr(caller, "csrf", ""), "here": getattr(route, "name", "")}
    pages = environment()
    shared["parts"] = pages.get_template("parts.html.j2").make_module({**shared, "token": shared["csrf"]})
    return pages.get_template(template).render(shared)


def locale_of(request: Request) -> Locale:
    """Return the locale of the person who asks: of the account, else of the browser."""
    caller = getattr(request.state, "caller", None)
    return negotiated(getattr(caller, "locale", None), request.headers.get("accept-language"))


def fill(text: object, **words: object) -> Markup:
    """Fill the braces of a text; the text and what is filled in are escaped unless they are markup."""
    return Markup(escape(text)).format(**words)


def _shape(app: FastAPI, name: str, params: tuple[str, ...]) -> str:
    """The path of a route with its parameters in braces, looked for once; empty where there is none.

    To look for a route is to try all of them: done for each link, that was a sixth of the time of a page.
    """
    shapes: dict[tuple[str, tuple[str, ...]], str] = app.state._state.setdefault("shapes", {})
    if (name, params) not in shapes:
        try:
            shapes[name, params] = str(app.url_path_for(name, **{each: f"{{{each}}}" for each in params}))
        except NoMatchFound:
            shapes[name, params] = ""
    return shapes[name, params]


@cache
def environment() -> jinja2.Environment:
    """Return the templates, with what all of them share."""
    made = jinja2.Environment(loader=jinja2.PackageLoader("deqi.web"), autoescape=True,
                              undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals.update(figures=figures, number=number, crowd=crowd, version=__version__)
    made.filters.update(fill=fill, inline=inline)
    return made
