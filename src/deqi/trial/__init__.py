"""In-silico trials: design, recruit, simulate, analyse, report; `deqi.trial(...)` runs one."""

from ..calling import callable_package

callable_package(__name__, ".result", "trial")
