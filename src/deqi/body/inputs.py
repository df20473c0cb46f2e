"""What care, drugs and knock-outs may set in the body: the inputs of the equations and the fields of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Input:
    """A quantity set from outside; `rest` is its value while nothing is done.

    `joined` says what two exposures at the same time make of it: independent action of shares, 1 - (1-a)(1-b); their
    sum; or the one that departs most from rest.
    """

    name: str
    unit: str
    rest: float
    meaning: str
    joined: Literal["independent", "sum", "most"] = "most"


INPUTS: tuple[Input, ...] = (
    # needling, while the needle is in
    Input("needle_local", "0-1", 0.0,
          "afferent drive at the painful segment: intensity times manipulation, g_loc(I) m(t)",
          "independent"),
    Input("needle_distal", "0-1", 0.0, "afferent drive at distal points, g_dis(I) m(t)",
          "independent"),
    Input("needle_mechanical", "0-1", 0.0,
          "mechanical stimulation of the tissue by a local needle, decaying after each manipulation"),
    Input("mu_weight", "0-1", 0.0, "share of the drive that releases mu/delta peptide, w_mu(f)"),
    Input("kappa_weight", "0-1", 0.0, "share of the drive that releases kappa peptide, w_ka(f)"),
    Input("needle_depth", "0-1", 0.0, "0 in the skin, 1 in muscle"),
    Input("needle_noxious", "0-1", 0.0, "noxious A-delta and C drive of the needle, any site (conditioned modulation)",
          "independent"),
    Input("ltd_drive", "0-1", 0.0, "noxious A-delta drive at about 1-2 Hz, N(t) (long-term depression)",
          "independent"),
    Input("a_beta", "Hz", 0.0, "local A-beta firing",
          "sum"),
    Input("a_delta", "Hz", 0.0, "local A-delta firing",
          "sum"),
    Input("surround", "Hz", 0.0, "segmental off-focus A-beta firing",
          "sum"),
    Input("c_fibre", "Hz", 0.0, "C-fibre firing of a test pain that an experimenter gives, beside what hurts already",
          "sum"),
    Input("microtrauma", "irritant/day", 0.0, "tissue irritation by the needle",
          "sum"),
    Input("vagal_stimulus", "0-1", 0.0, "stimulation of the somato-autonomic route",
          "independent"),
    # movement
    Input("load", "share of maximum", 0.0, "target load of the trunk muscles, L(t)"),
    Input("aerobic", "0-1", 0.0, "aerobic intensity as a share of vigorous"),
    Input("stretch", "0-1", 0.0, "stretch held, as a share of an intense one"),
    # heat and cold
    Input("skin_contact", "0 or 1", 0.0, "a heat or cold source lies on the back"),
    Input("skin_step", "degC", 0.0, "skin temperature under the source, above baseline"),
    # medicines, antagonists, knock-outs
    Input("nsaid", "0-1", 0.0, "share of prostaglandin synthesis blocked",
          "independent"),
    Input("anti_ngf", "0-1", 0.0, "share of nerve growth factor bound",
          "independent"),
    Input("opioid", "0-1", 0.0, "regular opioid use: share of the mu channel that is occupied or down-regulated",
          "independent"),
    Input("naloxone_mg_per_kg", "mg/kg", 0.0, "naloxone dose",
          "sum"),
    Input("caffeine_mg_per_kg", "mg/kg", 0.0, "caffeine dose",
          "sum"),
    Input("a1_receptor", "0-1", 1.0, "adenosine A1 receptor function; 0 in the knock-out"),
    Input("deaminase_block", "0-1", 0.0, "share of adenosine removal blocked (deoxycoformycin)"),
    Input("monoamine_block", "0-1", 0.0, "alpha2, 5-HT1A or 5-HT3 blockade, beta",
          "independent"),
    Input("cck_block", "0-1", 0.0, "CCK neutralised"),
    Input("cgrp_block", "0-1", 0.0, "CGRP receptor blocked"),
    Input("no_block", "0-1", 0.0, "share of nitric oxide synthesis blocked"),
    Input("antidromic", "0-1", 0.0, "C fibres driven towards the muscle by a stimulated dorsal root",
          "independent"),
    # the meaning of care, and daily life
    Input("context_strength", "relative", 0.0,
          "how strongly this care moves expectation; acupuncture in open care is 1",
          "independent"),
    Input("poor_sleep", "items", 0.0, "worse sleep than the person's own mean, on a 0-3 item",
          "sum"),
    Input("flare_log_hazard", "log", 0.0, "log of the factor on the hazard of flares (felt at the read-out)", "sum"),
)

SESSION_FIELDS: tuple[Input, ...] = (
    Input("needle_dose", "sessions", 0.0, "needling dose to the muscle, d; 1 is a full manual session"),
    Input("effective_minutes", "minutes", 0.0, "integral of the drive over the session, X_s"),
    Input("context_visit", "relative", 0.0, "strength of the session's context, 1 for open acupuncture"),
    Input("training", "sessions", 0.0, "training stimulus to the trunk muscles; 1 is a full session"),
    Input("days_since_training", "days", 1000.0, "days since the last training session, s"),
    Input("ngf_micrograms", "ug", 0.0, "nerve growth factor injected into the muscle"),
)

INPUT: dict[str, Input] = {item.name: item for item in INPUTS}
REST_INPUTS: dict[str, float] = {item.name: item.rest for item in INPUTS}
REST_SESSION: dict[str, float] = {item.name: item.rest for item in SESSION_FIELDS}
