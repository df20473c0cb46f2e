"""Packages that do their main job when they are called: `deqi.consult(patient)`, `deqi.trial(design)`."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A package that runs one of its functions when it is called."""

    job: tuple[str, str]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        module, function = self.job
        return getattr(import_module(module, self.__name__), function)(*arguments, **named)


def callable_package(package: str, module: str, function: str) -> None:
    """Let a package be called.

    Python binds `deqi.consult` to the package as soon as anything in it is imported, so a function of that name would
    be lost; the package itself takes its place.

    Arguments:
        package: its name, imported already.
        module: relative to it, imported at the first call.
        function: in that module.
    """
    itself = sys.modules[package]
    itself.__class__ = _Callable
    itself.job = (module, function)  # type: ignore[attr-defined]  # a _Callable from the line above on
