"""One field of a parsed file changed, for tests of what is refused."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any


def with_field(body: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with one field changed; `path` uses dots, digits are list places."""
    whole: Any = copy.deepcopy(body)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = whole
    for part in parents:
        place = place[part]
    place[last] = value
    return whole
