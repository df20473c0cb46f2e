"""Walks through the site as a browser would: every link of every page, and all that a page would send or load."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient
from httpx import Response
from starlette.routing import compile_path

MOST_OF_A_ROUTE = 3
"""Pages of one route: a question has forty."""
ADDRESSES = ("href", "src", "action", "formaction", "hx-get", "hx-post", "hx-put", "hx-patch", "hx-delete",
             "hx-push-url", "hx-replace-url", "data-url", "poster", "srcset", "cite", "ping", "background")


@dataclass(frozen=True)
class Page:
    """One answer.

    Attributes:
        path: that was asked for.
        route: name of the route that answered.
        response: as it came.
        soup: of its HTML; None for anything else.
    """

    path: str
    route: str
    response: Response
    soup: BeautifulSoup | None


@dataclass(frozen=True)
class Way:
    """One method of one route.

    Attributes:
        name: of the route; "" where it has none.
        method: of HTTP.
        path: with the names of its parameters in braces.
        is_guarded: whether the guard stands before it, as before all that the application answers itself.
    """

    name: str
    method: str
    path: str
    is_guarded: bool

    @property
    def parameters(self) -> list[str]:
        """The names in its braces."""
        return [part[1:-1].partition(":")[0] for part in self.path.split("/") if part.startswith("{")]

    @property
    def is_safe(self) -> bool:
        """Whether the method may change nothing."""
        return self.method in ("GET", "HEAD", "OPTIONS")


def ways(app: FastAPI) -> list[Way]:
    """Every method of every route."""
    return [Way(route.name or "", method, route.path or "", isinstance(route.original_route, APIRoute))
            for route in iter_route_contexts(app.router.routes) for method in sorted(route.methods or {"GET"})]


def path_of(way: Way, ids: Mapping[str, str]) -> str:
    """The address of a way, with ids in its braces."""
    missing = set(way.parameters) - set(ids)
    assert not missing, f"{way.path}: filled.py has no {missing}"
    return re.sub(r"{(\w+)(:\w+)?}", lambda name: ids[name[1]], way.path)


def route_of(app: FastAPI, path: str, method: str = "GET") -> str:
    """The name of the route that answers a path; "" for none."""
    plain = urlsplit(path).path
    return next((way.name for way in ways(app) if way.method == method and compile_path(way.path)[0].match(plain)), "")


def read(app: FastAPI, path: str, response: Response) -> Page:
    """An answer as a page."""
    is_html = response.headers.get("content-type", "").startswith("text/html")
    return Page(path, route_of(app, path, response.request.method), response,
                BeautifulSoup(response.text, "html.parser") if is_html and response.text else None)


def crawl(app: FastAPI, client: TestClient, start: str = "/") -> list[Page]:
    """Follow every link from a page on; forms are not sent."""
    waiting, seen, times, found = deque([start]), {start}, Counter[str](), list[Page]()
    while waiting:
        path = waiting.popleft()
        route = route_of(app, path)
        times[route] += 1
        if times[route] > MOST_OF_A_ROUTE:
            continue
        page = read(app, path, client.get(path))
        found.append(page)
        links = [page.response.headers.get("location", ""), page.response.headers.get("hx-redirect", "")]
        links += [address for name, address in addresses(page) if name in ("href", "hx-get")]
        for link in links:
            parts = urlsplit(link)
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            if not parts.netloc and target.startswith("/") and not target.startswith("/static") and target not in seen:
                seen.add(target)
                waiting.append(target)
    return found


def addresses(page: Page) -> Iterator[tuple[str, str]]:
    """All addresses in a page, with the attribute that holds each."""
    for tag in page.soup.find_all(True) if page.soup is not None else ():
        for name, value in attributes(tag).items():
            if name in ADDRESSES or name.endswith(":href"):
                yield name, value


def attributes(tag: Tag) -> Mapping[str, str]:
    """The attributes of an element as plain text."""
    return {name: " ".join(value) if isinstance(value, list) else str(value) for name, value in tag.attrs.items()}
