"""The consultation: assessment, screening, options, harms and report; `deqi.consult(...)` runs it."""

from ..calling import callable_package

callable_package(__name__, ".consultation", "consult")
