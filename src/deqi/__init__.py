"""deqi: five theories of how acupuncture may ease low back pain as one model, for honest comparisons of care plans.

    import deqi
    result = deqi.consult("examples/gerac_chronic.yaml")
    result.report("report.html")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import DeqiError, EquationError, InputError

if TYPE_CHECKING:
    from .consult.consultation import Consultation, consult

__version__ = "0.1.0"

__all__ = ["Consultation", "DeqiError", "EquationError", "InputError", "__version__", "consult"]


def __getattr__(name: str) -> Any:
    if name in ("consult", "Consultation"):
        from .consult import consultation

        return getattr(consultation, name)
    raise AttributeError(f"module 'deqi' has no attribute {name!r}")
