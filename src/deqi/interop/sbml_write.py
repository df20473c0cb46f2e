"""Writes a model as SBML Level 3 Version 2 core with events, units, notes and sources, and checks it with libSBML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import libsbml
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p
from sympy.printing.c import C99CodePrinter

from .. import evidence
from ..tables import shipped
from .sbml_model import Change, Model, Quantity

LEVEL, VERSION = 3, 2
MIRIAM = "https://identifiers.org/"


def table() -> dict[str, Any]:
    """Units and identifiers."""
    return shipped(Path(__file__).with_name("sbml.yaml"))


class _Formula(C99CodePrinter):
    """Expressions as libSBML's infix formulas."""

    def __init__(self) -> None:
        super().__init__({"math_macros": {}, "user_functions": {"log": "ln", "Abs": "abs"}})

    def _print_Float(self, number: sp.Float) -> str:
        return repr(float(number))

    def _print_Max(self, value: sp.Max) -> str:
        return f"max({', '.join(map(self._print, value.args))})"

    def _print_Min(self, value: sp.Min) -> str:
        return f"min({', '.join(map(self._print, value.args))})"

    def _print_Piecewise(self, value: sp.Piecewise) -> str:
        parts = []
        for then, condition in value.args:
            parts += [self._print(then)] if condition == sp.true else [self._print(then), self._print(condition)]
        return f"piecewise({', '.join(parts)})"


def formula(expression: sp.Expr) -> str:
    """An expression as libSBML reads it."""
    plain = expression.replace(log1p, lambda z: sp.log(1 + z)).replace(expm1, lambda z: sp.exp(z) - 1)
    return str(_Formula().doprint(plain))


def as_sbml(model: Model, name: str, notes: Iterable[str]) -> str:
    """A model as the text of an SBML file.

    Arguments:
        model: the patient under a plan.
        name: of the model, in words.
        notes: paragraphs on what it is.
    """
    document = libsbml.SBMLDocument(LEVEL, VERSION)
    written = document.createModel()
    written.setId("deqi")
    written.setName(name)
    written.setTimeUnits(_unit(written, "days"))
    _note(written, notes)
    changing = {name for change in model.changes for name in change.values}
    for quantity in model.quantities:
        _quantity(written, quantity, quantity.kind == "parameter"
                  or (quantity.kind == "input" and quantity.id not in changing))
    for left, value in model.rules.items():
        rule = written.createAssignmentRule()
        rule.setVariable(left)
        rule.setMath(_math(value))
    for left, value in model.rates.items():
        rate = written.createRateRule()
        rate.setVariable(left)
        rate.setMath(_math(value))
    for number, change in enumerate(model.changes, 1):
        _event(written, number, change)
    return str(libsbml.writeSBMLToString(document))


def problems(text: str, *, units: bool = False) -> list[str]:
    """What libSBML finds wrong with a file, warnings too; nothing if all is well.

    Arguments:
        text: the SBML.
        units: whether units are checked for consistency as well.
    """
    document = libsbml.readSBMLFromString(text)
    document.setConsistencyChecks(libsbml.LIBSBML_CAT_UNITS_CONSISTENCY, units)
    document.checkConsistency()
    return [f"{error.getSeverityAsString()} {error.getErrorId()}, line {error.getLine()}: {error.getMessage().strip()}"
            for error in (document.getError(i) for i in range(document.getNumErrors()))]


def _math(expression: sp.Expr) -> Any:
    node = libsbml.parseL3Formula(formula(expression))
    if node is None:
        raise ValueError(libsbml.getLastParseL3Error())
    return node


def _quantity(model: Any, quantity: Quantity, constant: bool) -> None:
    parameter = model.createParameter()
    parameter.setId(quantity.id)
    parameter.setName(quantity.id.replace("_", " "))
    parameter.setConstant(constant)
    parameter.setUnits("dimensionless" if quantity.unit is None else _unit(model, quantity.unit))
    if quantity.value is not None:
        parameter.setValue(quantity.value)
    said = quantity.meaning if quantity.unit is None else f"{quantity.meaning} [{quantity.unit}]"
    same = table()["is"].get(quantity.id)
    _note(parameter, [said, *_told(quantity), *([f"{same['named']}: {same['id']}"] if same else [])])
    resources = [(libsbml.BQB_IS_DESCRIBED_BY, where) for where in _identifiers(quantity.source)]
    if same:
        resources.append((libsbml.BQB_IS_VERSION_OF, same["id"]))
    if resources:
        parameter.setMetaId(f"meta_{quantity.id}")
    for qualifier, where in resources:
        term = libsbml.CVTerm(libsbml.BIOLOGICAL_QUALIFIER)
        term.setBiologicalQualifierType(qualifier)
        term.addResource(MIRIAM + where)
        parameter.addCVTerm(term)


def _told(quantity: Quantity) -> Iterator[str]:
    """Where a parameter's value comes from."""
    if quantity.source is None or quantity.value is None:
        return
    if quantity.usual is not None and abs(quantity.value - quantity.usual) > 1e-6 * abs(quantity.usual):
        yield f"{quantity.usual:g} before any fit; the value here is that of the laboratory, the person or anchoring."
    if evidence.exists(quantity.source):
        yield f"Source: {quantity.source}: {evidence.fact(quantity.source).citation()}"
    else:
        yield f"Source: {quantity.source}"


def _identifiers(source: str | None) -> list[str]:
    """The DOI of a fact's sources, or else the PubMed id."""
    if source is None or not evidence.exists(source):
        return []
    stated = evidence.fact(source).source
    found = [f"doi:{one['doi']}" if one.get("doi") else f"pubmed:{one['pmid']}"
             for one in stated.get("sources", [stated]) if one.get("doi") or one.get("pmid")]
    return list(dict.fromkeys(found))


def _event(model: Any, number: int, change: Change) -> None:
    event = model.createEvent()
    event.setId(f"change_{number}")
    event.setName(f"day {change.day:.5g}: " + ("a session ends" if change.session else "care changes"))
    event.setUseValuesFromTriggerTime(True)
    trigger = event.createTrigger()
    trigger.setInitialValue(True)
    trigger.setPersistent(True)
    trigger.setMath(libsbml.parseL3Formula(f"time >= {change.day!r}"))
    for name, value in change.values.items():
        assignment = event.createEventAssignment()
        assignment.setVariable(name)
        assignment.setMath(_math(value))


def _unit(model: Any, unit: str) -> str:
    """The id of a unit, defined on first use."""
    parts = [(atom, 1 if place == 0 else -1) for place, atom in enumerate(_atoms(unit))]
    bases = [(base, sign) for atom, sign in parts for base in table()["units"][atom]]
    if not bases:
        return "dimensionless"
    id = "unit_" + re.sub(r"\W+", "_", unit.replace("/", "_per_"))
    if model.getUnitDefinition(id) is None:
        definition = model.createUnitDefinition()
        definition.setId(id)
        definition.setName(unit)
        for (kind, exponent, scale, multiplier), sign in bases:
            base = definition.createUnit()
            base.setKind(libsbml.UnitKind_forName(kind))
            base.setExponent(sign * exponent)
            base.setScale(scale)
            base.setMultiplier(multiplier)
    return id


def _atoms(unit: str) -> list[str]:
    return [unit] if unit in table()["units"] else unit.split("/")


def _note(element: Any, paragraphs: Iterable[str]) -> None:
    inside = "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    element.setNotes(f'<body xmlns="http://www.w3.org/1999/xhtml">{inside}</body>')
