"""The bodies of the bench: one parameter set each, from the table `bodies.yaml` and the joint fit."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..body.system import BODY
from ..body.theory import Parameter
from ..care.action import actions
from ..care.course import nearest_hint
from ..errors import InputError


@dataclass(frozen=True)
class Body:
    """A species or a kind of person.

    Arguments:
        name: as experiments name it.
        says: what it is.
        pain: NRS before anything is done; 0 for no source of pain.
        values: `room.parameter` to its own parameter, where it differs from the reference patient.
        owner: `room.parameter` to the body that first gave that value, so that what is inherited is one number.
        needling: the table that turns needles and currents into drives in this body.
    """

    name: str
    says: str
    pain: float
    values: Mapping[str, Parameter]
    owner: Mapping[str, str]
    needling: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash(self.name)


@cache
def reference() -> dict[str, Parameter]:
    """`room.parameter` to the parameter of the reference patient."""
    return {f"{room.name}.{parameter.name}": parameter for room in BODY.rooms for parameter in room.parameters}


@cache
def bodies() -> dict[str, Body]:
    """All bodies by name, in the order of the table."""
    import yaml

    table = yaml.load(Path(__file__).with_name("bodies.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    made: dict[str, Body] = {}
    for name, row in table.items():
        base = made.get(row.get("like", ""))
        values = dict(base.values) if base else {}
        owner = dict(base.owner) if base else {}
        needling = deepcopy(base.needling if base else actions()["needling"])
        for key, own in row.get("values", {}).items():
            usual = reference()[key]
            value = own["value"]
            values[key] = Parameter(usual.name, value, usual.unit, own["source"], own.get("low", value),
                                    own.get("high", value), own.get("why", usual.meaning))
            owner[key] = name
        for path, own in row.get("stimulus", {}).items():
            section, entry = path.split(".")
            needling[section][entry] = own["value"] if entry == "value" else own
        pain = row.get("pain", base.pain if base else 0.0)
        made[name] = Body(name, row["says"], pain, values, owner, needling)
    return made


def body(name: str) -> Body:
    """A body by name.

    Raises:
        InputError: there is none; it names the nearest.
    """
    if name not in bodies():
        raise InputError("no such body", field="body", found=name,
                         accepted=", ".join(bodies()) + nearest_hint(name, bodies()))
    return bodies()[name]


def address(of: Body, key: str) -> str:
    """Where the value of a parameter in a body lives: `room.parameter` if shared, `body:room.parameter` if its own."""
    return f"{of.owner[key]}:{key}" if key in of.owner else key


def parameter_at(place: str) -> Parameter:
    """The parameter, with its prior, that lives at an address."""
    owner, _, key = place.rpartition(":")
    return bodies()[owner].values[key] if owner else reference()[key]


def values_of(of: Body, fitted: Mapping[str, Any]) -> dict[str, Any]:
    """`room.parameter` to its value in a body.

    Arguments:
        of: the body.
        fitted: address to fitted value; what is not there keeps the centre of its prior.
    """
    return {key: fitted.get(address(of, key), (of.values.get(key) or usual).value)
            for key, usual in reference().items()}
