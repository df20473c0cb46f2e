"""What made a result, for its record."""

from __future__ import annotations

import datetime
from typing import Any

from ..body.system import equations_hash, parameters_hash
from ..evidence import evidence_hash
from ..population import posterior
from .options import table


def provenance(seed: int, draws: int) -> dict[str, Any]:
    """What made a result: version, hashes of equations and evidence, posterior, seed, date."""
    from .. import __version__

    return {"version": __version__, **posterior.provenance(),
            "parameters": "fitted to laboratory experiments, then to trials" if posterior.stamp()
            else "fitted to laboratory experiments, not yet calibrated on trials",
            "equations": equations_hash()[:16], "laboratory": parameters_hash()[:16],
            "evidence": evidence_hash()[:16], "seed": seed, "patients": draws,
            "date": datetime.date.today().isoformat(), "funding": table()["funding"],
            "update_policy": table()["update_policy"]}
