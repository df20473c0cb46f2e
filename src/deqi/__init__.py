"""deqi: five theories of how acupuncture may ease low back pain as one model, for honest comparisons of care plans.

    import deqi
    result = deqi.consult("examples/gerac_chronic.yaml")
    result.report("report.html")

Beside it, `deqi.forecast` (one person under one plan), `deqi.simulate` (a population), `deqi.theories` (experiments
with and without each theory) and `deqi.posterior` (what the trials left, for ArviZ). Results give `dataset()` for
xarray, `frame()` for pandas and `save(path)`. What a name needs is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import DeqiError, EquationError, InputError

if TYPE_CHECKING:
    from .consult.consultation import Consultation, consult
    from .consult.single import forecast
    from .population.posterior import inference_data as posterior
    from .population.trajectories import run as simulate
    from .theories.scoreboard import on_trial as theories
    from .trial.result import trial

__version__ = "0.1.0"

__all__ = ["Consultation", "DeqiError", "EquationError", "InputError", "__version__", "consult", "forecast",
           "posterior", "simulate", "theories", "trial"]

_LAZY = {
    "Consultation": (".consult.consultation", "Consultation"),
    "consult": (".consult", None),
    "forecast": (".consult.single", "forecast"),
    "posterior": (".population.posterior", "inference_data"),
    "simulate": (".population.trajectories", "run"),
    "theories": (".theories", None),
    "trial": (".trial", None),
}
"""Public name to module and the name in it; None for a package that is called itself."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'deqi' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    found = import_module(module, __name__)
    return found if attribute is None else getattr(found, attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
