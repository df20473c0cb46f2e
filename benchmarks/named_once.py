"""The same formulas with each term named as seldom as can be.

libRoadRunner writes a rule out wherever another names it, so that a form that names a term twice doubles the work of
all below it. The forms here are equal in exact arithmetic; deqi's own keep clear of overflow at any parameter.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp
from sympy.codegen.cfunctions import log1p

from deqi.interop.sbml_model import Model


def named_once(model: Model) -> Model:
    """A model whose rules and rates have these forms."""
    return replace(model, rules={name: _plain(value) for name, value in model.rules.items()},
                   rates={name: _plain(value) for name, value in model.rates.items()})


def _plain(value: sp.Expr) -> sp.Expr:
    value = value.replace(lambda part: part.is_Mul and part.has(sp.Piecewise), _logistic)
    value = value.replace(lambda part: part.is_Add and part.has(log1p), _softplus)
    return value.replace(lambda part: part.is_Mul, _saturation)


def _logistic(product: sp.Mul) -> sp.Expr:
    """1 / (1 + e^-z) in place of its two branches."""
    for choice in [part for part in product.args if part.is_Piecewise]:
        z = choice.args[0].cond.lhs
        tail = sp.exp(-sp.Abs(z))
        if choice.args[0].expr == 1 and choice.args[1].expr == tail and 1 / (1 + tail) in product.args:
            others = [part for part in product.args if part not in (choice, 1 / (1 + tail))]
            return sp.Mul(*others) / (1 + sp.exp(-z))
    return product


def _softplus(total: sp.Add) -> sp.Expr:
    """b ln(1 + e^(z/b)) in place of max(0, z) + b ln(1 + e^(-|z|/b))."""
    terms = list(total.args)
    for tail in [term for term in terms if term.has(log1p)]:
        curve = next(iter(tail.atoms(log1p)))
        size = next(iter(curve.atoms(sp.Abs)), None)
        if size is None or not isinstance(curve.args[0], sp.exp):
            continue
        b = -size / curve.args[0].args[0]
        sign = tail / (b * curve)
        for z in (size.args[0], -size.args[0]):
            straight = sign * sp.Max(0, z, evaluate=False)
            if sign in (1, -1) and straight in terms and tail in terms:
                terms[terms.index(tail)] = sign * b * log1p(sp.exp(z / b))
                terms.remove(straight)
    return sp.Add(*terms)


def _saturation(product: sp.Mul) -> sp.Expr:
    """1 / (1 + h/x) in place of x / (x + h), for terms; at 0 both are 0 in floating point."""
    for x in product.args:
        if not (x.is_Symbol and "term" in x.name):
            continue
        for part in product.args:
            if part.is_Pow and part.exp == -1 and part.base.is_Add and x in part.base.args:
                return product / (x * part) / (1 + (part.base - x) / x)
    return product
