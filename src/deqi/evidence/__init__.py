"""The evidence room: every fact that deqi rests on, with its source and what it may be used for.

A *fact* is one record of the YAML files in `facts/`: a measured value, a trial, a harm, a rule, an
instrument. Other rooms ask for it by id and never read a file:

    fact("ht_pt_offset_halflife").value                 # 16, minutes
    facts("science/mechanism_gate", use="calibrate")    # what the gate may be fitted to
    trial("brinkhaus2006").body["arms"]
    document("red_flags")["entries"]

Four rules of use hold everywhere (`fact.use`):

- `calibrate`: may inform a prior or a fit. Each datum once: GERAC, ART and others stand in several files.
- `validate`: never enters a fit, it judges one. Pooled results are always `validate`, whatever a record says.
- `context`: trials in other conditions; they inform the course of the context response and nothing else.
- None: a rule, a harm, an instrument or a value computed from other facts; no data for a fit.

`facts/README.md` says how to read the records (units, spreads, scales) and what is weak in them.
"""

from deqi.evidence._fact import Fact, Use
from deqi.evidence._shelves import document, documents, evidence_hash, exists, fact, facts, trial, trials

__all__ = [
    "Fact",
    "Use",
    "document",
    "documents",
    "evidence_hash",
    "exists",
    "fact",
    "facts",
    "trial",
    "trials",
]
