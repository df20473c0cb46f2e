"""Fills the documentation from the package, so that no table is written twice.

In a page, a line `{{ name argument }}` becomes what `TABLES[name]` makes, and `[[id]]` becomes a fact of the evidence
with its source as a tooltip. An id or a name that does not exist stops the build.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

from deqi import evidence
from deqi.body.system import ROOMS
from deqi.body.theory import Room
from deqi.care.defaults import table as care_table
from deqi.care.vocabulary import names
from deqi.consult.rules import table as rules


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Replace the marks in one page."""
    try:
        filled = re.sub(r"^\{\{ ([\w-]+)(?: (\w+))? \}\}$", _table, markdown, flags=re.MULTILINE)
        return re.sub(r"\[\[([\w:/.-]+)\]\]", _fact, filled)
    except (KeyError, LookupError) as error:
        raise PluginError(f"{page.file.src_uri}: nothing in deqi is called {error}") from error


def _table(mark: re.Match[str]) -> str:
    name, argument = mark.groups()
    return TABLES[name](argument) if argument else TABLES[name]()


def _fact(mark: re.Match[str]) -> str:
    if not evidence.exists(mark[1]):
        raise LookupError(mark[1])
    return f'<code title="{html.escape(evidence.fact(mark[1]).citation())}">{mark[1]}</code>'


def _rows(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [list(columns), *([_cell(str(cell)) for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return (text if "`" in text else text.replace("|", "\\|")).replace("\n", " ")


def _source(id: str) -> str:
    return f"[[{id}]]" if evidence.exists(id) else id


def _room(name: str) -> Room:
    return next(room for room in ROOMS if room.name == name)


def _states(name: str) -> str:
    return _rows(("state", "unit", "meaning"),
                 ((f"`{state.name}`", state.unit, state.meaning) for state in _room(name).states))


def _signals(name: str) -> str:
    return _rows(("signal", "unit", "without the theory", "meaning"), (
        (f"`{s.name}`", s.unit, "computed" if callable(s.neutral) else f"{s.neutral:g}", s.meaning)
        for s in _room(name).writes))


def _inputs() -> str:
    from deqi.body.inputs import INPUTS, SESSION_FIELDS

    return _rows(("input", "unit", "at rest", "meaning"),
                 ((f"`{i.name}`", i.unit, f"{i.rest:g}", i.meaning) for i in (*INPUTS, *SESSION_FIELDS)))


@cache
def _board() -> Any:
    """The scoreboard, run once for all pages."""
    from deqi.theories import experiment, scoreboard

    return scoreboard.run(experiment.shipped())


def _theory(name: str) -> str:
    """Equations, parameters, experiments and misses of one theory, as the report has them."""
    from deqi.theories import report

    return f'<div class="deqi-theory">\n{_flat(report.section(_board(), name))}\n</div>'


def _flat(html_text: str) -> str:
    """HTML without empty lines, which Markdown would take for the end of it."""
    return "\n".join(line for line in html_text.splitlines() if line.strip())


def _score() -> str:
    from deqi.theories.scoreboard import USES, summary

    found = summary(_board().rows)
    names = [(name, found["by_theory"][name][use], use) for name in found["by_theory"] for use in USES]
    rows = [(name, use, c["experiments"], c["within"], c["near"], c["outside"]) for name, c, use in names]
    for use, whole in found["by_use"].items():
        for name, c in (("**all**", whole), ("tests in their own right", whole["clean"])):
            rows.append((name, use, c["experiments"], f"{c['within']} ({c['within_pct']} %)", c["near"], c["outside"]))
        rows.append(("all five theories taken away", use, whole["experiments"], whole["empty_model_within"], "", ""))
    return _rows(("theory", "use", "findings", "within", "near", "outside"), rows)


def _matrix_in_words() -> str:
    from deqi.theories.scoreboard import in_words

    return "\n".join(f"- {line}" for line in in_words(_board().rows))


def _matrix() -> str:
    from deqi.theories.scoreboard import MATRIX

    return f"```text\n{MATRIX.read_text(encoding='utf-8')}```"


def _conflicts() -> str:
    from deqi.theories.scoreboard import conflicts

    return _rows(("question", "met", "findings"), (
        (c["conflict"], f"{c['met']} of {c['of']}",
         ", ".join(f"`{id}` {told}" for id, told in c["experiments"].items()))
        for c in conflicts(_board().rows)))


def _apart() -> str:
    from deqi.theories import discriminate, report
    from deqi.theories.scoreboard import tied

    ranks = report.best(discriminate.ranking(tied(_board().rows)))
    return _rows(("pair", "experiment", "bits with 40 an arm", "people an arm for 80 % power"), (
        (" / ".join(r.theories), r.candidate.says, f"{r.bits:.2f}", r.people_per_arm or "none would do")
        for r in ranks))


def _yardsticks() -> str:
    from deqi.theories.yardsticks import comparisons

    return _rows(("model", "quantity", "published", "here", "unit", "source"), (
        (c.model, c.quantity, f"{c.published:.4g}", f"{c.value:.4g}", c.unit, c.source) for c in comparisons()))


def _bench_words() -> str:
    from deqi.theories.bodies import bodies
    from deqi.theories.readouts import DERIVED
    from deqi.theories.statistics import STATISTICS
    from deqi.theories.stimulus import stimuli

    return "\n\n".join((
        _rows(("body", "what it is"), ((f"`{b.name}`", b.says) for b in bodies().values())),
        _rows(("stimulus (`do`)", "what it is"), ((f"`{name}`", row["says"]) for name, row in stimuli().items())),
        _rows(("read-out beside signals and states", "unit", "meaning"),
              ((f"`{r.name}`", r.unit, r.meaning) for r in DERIVED)),
        _rows(("statistic", "moments", "comparison", "meaning"), (
            (f"`{name}`", s.moments or "", "yes" if s.compares else "", s.meaning) for name, s in STATISTICS.items()))))


def _band_rules() -> str:
    from deqi.theories.bands import rules

    return _rows(("rule", "takes", "why"), ((f"`{name}`", ", ".join(row.get("from", ())), row["why"])
                                           for name, row in rules()["rules"].items()))


def _equations() -> str:
    """The equations as the code prints them, with formulas as MathML, which browsers draw without a script."""
    from latex2mathml.converter import convert

    from deqi.body.equations import as_markdown

    text = as_markdown().split("\n", 1)[1]  # the page has its own title
    text = re.sub(r"\$\$(.+?)\$\$", lambda m: f'<div class="formula">{convert(m[1].strip(), display="block")}</div>',
                  text, flags=re.S)
    return re.sub(r"(?<![`$])\$([^$`\n]+(?:\n[^$`\n]+)?)\$", lambda m: convert(m[1]), text)


def _plan_words() -> str:
    listed: dict[str, list[str]] = {}
    for name in names():
        listed.setdefault(name.care, []).append(f"**{name.says[0]}**" + "".join(f", {word}" for word in name.says[1:]))
    return _rows(("care", "words (the bold one is what deqi prints)"),
                 ((care.replace("_", " "), "; ".join(words)) for care, words in listed.items()))


def _plan_modifiers() -> str:
    return _rows(("words", "for"), ((f"**{row['says'][0]}**" + "".join(f", {word}" for word in row["says"][1:]),
                                     ", ".join(row["for"])) for row in care_table("vocabulary")["modifiers"]))


def _plan_assumptions() -> str:
    return _rows(("care", "when", "taken for granted"), (
        (care.replace("_", " "), _words(layer.get("when", {})) or "always",
         "; ".join(f"{field.replace('_', ' ')}: {_value(entry['value'])} ({_source(entry['source'])})"
                   for field, entry in layer.items() if field != "when"))
        for care, layers in care_table("defaults")["defaults"].items() for layer in layers))


def _plan_limits() -> str:
    return _rows(("field", "from", "to", "unit"), (
        (name.replace("_", " "), row["low"], row["high"], row["unit"])
        for name, row in care_table("defaults")["limits"].items()))


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(str(part).replace("_", " ") for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).replace("_", " ")


def _not_modelled() -> str:
    return ", ".join(care_table("vocabulary")["not_modelled"]) + "."


def _red_flags() -> str:
    return _rows(("id", "question", "if yes", "source"), (
        (f"`{row['id']}`", row["ask"], row["action"], _source(row["source"]))
        for row in rules("red_flags")["questions"]))


def _conditions() -> str:
    return _rows(("id", "question"), (
        (f"`{row['id']}`", row["ask"]) for row in rules("contraindications")["conditions"]))


def _contraindications() -> str:
    return _rows(("id", "kind", "what follows", "source"), (
        (f"`{row['id']}`", row["kind"], row["text"], _source(row["source"]))
        for row in rules("contraindications")["rules"]))


def _medicines() -> str:
    return _rows(("id", "also read as"), (
        (f"`{row['id']}`", ", ".join(row.get("also", ()))) for row in rules("contraindications")["medicines"]))


def _applicability() -> str:
    return _rows(("extent", "because", "source"), (
        (row["status"], row["text"], _source(row["source"])) for row in rules("applicability")["rules"]))


def _averages() -> str:
    """Prior and, where a calibration ships, posterior of every average: 5, 50 and 95 %."""
    import numpy as np

    from deqi.calibrate.validate import shipped
    from deqi.population.averages import averages, values

    listed = averages()
    prior = values(np.array([-1.645, 0.0, 1.645])[None].repeat(len(listed), axis=0))
    after = {row["name"]: row for row in shipped().get("averages", ())}
    return _rows(("average", "prior", "after the trials", "learned", "unit", "source", "why"), (
        (f"`{a.name}`", _three(prior[a.name]), _three(after[a.name]["posterior"]) if a.name in after else "–",
         f"{100 * after[a.name]['learned']:.0f} %" if a.name in after else "–", a.unit, _source(a.source), a.why)
        for a in listed))


def _three(band: Iterable[float]) -> str:
    low, middle, high = (f"{float(x):.3g}" for x in band)
    return f"{middle} ({low} to {high})"


def _anchors() -> str:
    from deqi.population.anchors import measure

    return _rows(("published course", "week", "statistic", "band", "virtual people", "", "source"), (
        (row.anchor.replace("_", " "), row.week, row.statistic, f"{row.low:.0f} to {row.high:.0f}", f"{row.value:.1f}",
         "holds" if row.holds else "**missed**", _source(row.source)) for row in measure(1024, seed=1)))


def _commands() -> str:
    from typer.main import get_command

    from deqi.cli import app

    return "\n".join(f"### deqi {name}\n\n{command.help}\n\n{_rows(('argument', 'meaning'), _options(command))}\n"
                     for name, command in _leaves(get_command(app)))


def _leaves(group: Any, above: str = "") -> Iterable[tuple[str, Any]]:
    """The commands below a group, with their whole names."""
    for name, command in group.commands.items():
        yield from _leaves(command, f"{above}{name} ") if hasattr(command, "commands") else [(above + name, command)]


def _options(command: Any) -> Iterable[tuple[str, str]]:
    for option in command.params:
        named = option.param_type_name == "option"
        words = [*option.opts, option.metavar] if named else [option.metavar or option.name.upper()]
        yield f"`{' '.join(word for word in words if word)}`", option.help or ""


def _evidence_counts() -> str:
    uses = {"calibrate": "may inform a fit", "validate": "judges a fit", "context": "context response only",
            None: "no data for a fit"}
    listed = evidence.facts()
    return _rows(("use", "facts", "meaning"),
                 ((use or "other", sum(fact.use == use for fact in listed), words) for use, words in uses.items()))


TABLES: dict[str, Callable[..., str]] = {
    "states": _states, "signals": _signals, "inputs": _inputs, "equations": _equations,
    "plan-words": _plan_words, "plan-modifiers": _plan_modifiers, "plan-assumptions": _plan_assumptions,
    "plan-limits": _plan_limits, "not-modelled": _not_modelled, "red-flags": _red_flags, "conditions": _conditions,
    "contraindications": _contraindications, "medicines": _medicines, "applicability": _applicability,
    "theory": _theory, "score": _score, "matrix-in-words": _matrix_in_words, "matrix": _matrix,
    "conflicts": _conflicts, "apart": _apart, "yardsticks": _yardsticks, "bench-words": _bench_words,
    "band-rules": _band_rules,
    "averages": _averages, "anchors": _anchors, "commands": _commands, "evidence-counts": _evidence_counts,
}


NO_CALIBRATION = "*No calibration ships with this copy yet; `deqi calibrate` makes one.*"


def _calibration(part: Callable[[Mapping[str, Any]], str]) -> Callable[[], str]:
    """A table from the validation that ships, or a sentence that there is none."""
    def table() -> str:
        from deqi.calibrate.validate import shipped

        found = shipped()
        return part(found) if found else NO_CALIBRATION

    return table


def _calibration_in_words(found: Mapping[str, Any]) -> str:
    from deqi.calibrate.report import in_words

    return "\n".join(f"- {line}" for line in in_words(found))


def _calibration_left_out(found: Mapping[str, Any]) -> str:
    from deqi.calibrate.report import MODELS

    return _rows(("rule", "results", "inside 50 %", "inside 80 %", "inside 95 %", "off by (NRS)", "CRPS (NRS)",
                  "log density"), (
        (MODELS.get(row["model"], row["model"]), row["statistics"],
         *(f"{100 * row[f'covered_{level}']:.0f} %" for level in (50, 80, 95)), f"{row['mae'] / 10:.2f}",
         f"{row['crps'] / 10:.2f}", f"{row['log_density']:.2f}") for row in found["left_out"]["models"]))


def _calibration_pooled(found: Mapping[str, Any]) -> str:
    from deqi.calibrate.report import UNITS

    return _rows(("comparison", "published", "model", "unit", "", "source"), (
        (row["what"], _known(row["published"]), _known(row["predicted"]), UNITS.get(row["unit"], row["unit"]),
         "overlap" if row["overlap"] else "**conflict**", _source(row["source"])) for row in found["external"]))


def _stored(name: str) -> Any:
    return json.loads((Path(__file__).with_name("data") / f"{name}.json").read_text(encoding="utf-8"))


def _real_people() -> str:
    groups = _stored("ashar2022")["groups"]
    rows = []
    for group in groups:
        for name in ("deqi", "last_value", "population_mean", "autoregression"):
            r = group[name]
            figures = ["too few other people", *[""] * 6] if r is None else [
                f"{r['bias']:+.2f}", f"{r['mae']:.2f}", f"{r['crps']:.2f}",
                *(f"{100 * c:.0f}" for c in r["coverage_exact"].values()), f"{r['sd']:.2f}"]
            rows.append((f"{group['group']} ({group['n']})" if name == "deqi" else "", name.replace("_", " "),
                         *figures))
    closed = "; ".join(f"{group['group']}: {100 * group['deqi']['coverage']['80']:.0f}" for group in groups
                       if " · " not in group["group"])
    return _rows(("people", "prediction", "bias", "MAE", "CRPS", "in 50 %", "in 80 %", "in 95 %", "SD"), rows) + (
        f"\n\nIn 80 % with scores at an edge counted in full, deqi: {closed}.")


def _synthetic_people() -> str:
    return _rows(("weeks of scores known", "people", "in 50 %", "in 80 %", "in 95 %", "bias", "SD of the forecast"), (
        (r["weeks_known"], r["n"], *(f"{100 * c:.1f}" for c in r["coverage"].values()), f"{r['bias']:+.2f}",
         f"{r['sd']:.2f}") for r in _stored("synthetic")["synthetic"]))


def _trial(name: str) -> str:
    """Power and assurance of an example design, and what follows, from the JSON of its run."""
    from deqi.trial.report import in_words

    found = _stored(f"trial_{name}")
    power = found["power"]
    truth = {row["contrast"]: row["truth"] for row in found["estimates"]
             if all(row[key] == power["primary"][key] for key in ("outcome", "week", "method"))}
    rows = ((row["contrast"], f"{truth[row['contrast']]:.2f}", row["n"],
             *(f"{100 * row[share]:.0f} % ± {100 * row[error]:.0f}"
               for share, error in (("power", "mc_se"), ("assurance", "assurance_mc_se")))) for row in power["curve"])
    said = "\n".join(f"- {line}" for line in in_words(found, brief=True))
    return _rows(("contrast", "truth", "people", "power", "assurance"), rows) + f"\n\n{said}"


def _tailoring() -> str:
    from deqi.consult.tailoring import table

    return _rows(("part", "choice", "strength", "source"), (
        (part["label"] if number == 0 else "", row.get("words", choice) or "none" if row.get("words", choice) != "" else
         "near and further away", row["strength"], _source(row["source"]))
        for part in table()["parts"].values() for number, (choice, row) in enumerate(part["choices"].items())))


def _questionnaires() -> str:
    from deqi.consult import instruments

    may = {"score_items": "adds up the answers", "enter_score": "takes scores"}
    return _rows(("id", "questionnaire", "measures", "scores", "deqi", "source"), (
        (f"`{i.id}`", i.name, i.measures, ", ".join(f"`{p.id}` {p.low:g}-{p.high:g}" for p in i.parts), may[i.may],
         _source(i.source)) for i in instruments.known().values()))


def _known(band: Iterable[float | None]) -> str:
    from deqi.calibrate.figures import number

    low, middle, high = band
    ends = "" if low is None or high is None else f" ({number(low, 2)} to {number(high, 2)})"
    return number(middle, 2) + ends


def _calibration_theories(found: Mapping[str, Any]) -> str:
    return _rows(("theory", "route", "week 6", "week 26"), (
        (row["theory"], f"`{row['route']}`" if row["route"] else "", _known(row["week6"]), _known(row["week26"]))
        for row in found["theories"]["benefit"]))


def _calibration_plainly(found: Mapping[str, Any]) -> str:
    return "\n".join(f"- {line}" for line in found["theories"]["plainly"])


def _calibration_alike(found: Mapping[str, Any]) -> str:
    return _rows(("one", "other", "correlation"),
                 ((f"`{row['a']}`", f"`{row['b']}`", f"{row['r']:.2f}") for row in found["correlated"]))


def _calibration_sensitivity(found: Mapping[str, Any]) -> str:
    return _rows(("assumed", "instead", "effect"),
                 ((row["assumption"], row["instead"], row["effect"]) for row in found["sensitivity"]))


def _calibration_unused(found: Mapping[str, Any]) -> str:
    return _rows(("trial", "reason"), ((f"`{row['trial']}`", row["reason"]) for row in found["unused"]))


def _calibration_made(found: Mapping[str, Any]) -> str:
    made, d = found["made"], found["diagnostics"]
    words = {"version": "version", "seed": "seed", "trials": "studies", "statistics": "results", "chains": "chains",
             "draws": "draws a chain", "patients": "virtual patients under each arm", "minutes": "minutes",
             "peak_memory_gib": "memory at most, GiB"}
    rows = [(said, f"{made[key]:.3g}" if isinstance(made[key], float) else made[key])
            for key, said in words.items() if key in made]
    rows += [("R-hat at most", f"{d['r_hat_max']:.3f}"), ("effective draws at least", f"{d['ess_min']:.0f}"),
             ("independent jumps taken", f"{100 * d['jumps']:.0f} %"),
             ("Pareto k of the map they come from", f"{d['k']:.2f}")]
    return _rows(("", ""), rows)


def _calibration_formula(name: str) -> str:
    from latex2mathml.converter import convert

    return f'<div class="formula">{convert(FORMULAS[name], display="block")}</div>'


FORMULAS = {
    "healing": r"H_i(t) = f_i + (1 - f_i)\, e^{-r_i \left(t + \phi F_i(t)\right)}",
    "routes": r"\ell_i(t) = \operatorname{logit}\frac{B_i}{10} + N_i\left(1 - H_i(t)\right) + A_i(t) "
              r"+ \sum_k \left(w_k b_{ik}(t) + w_k^2 c_{ik}(t)\right)",
    "context": r"C_i(t) = p_i \int_0^t q_i\, e^{-q_i (t - s)}\, S(s)\, ds",
    "pain": r"P_i(t) = 10\, \operatorname{logistic}\left(\ell_i(t)\right) e^{R_i(t) - C_i(t) + v}",
    "likelihood": r"y_j \sim t_5\left(m_j(\theta),\, V_j\right), \qquad V_j = E_j + J_u\, \tau^2 J_u^{\top} "
                  r"+ J_v\, \sigma^2 J_v^{\top} + K_j",
}
"""The equations of the calibration, in short."""

TABLES |= {
    "real-people": _real_people, "synthetic-people": _synthetic_people, "tailoring": _tailoring,
    "questionnaires": _questionnaires, "trial": _trial,
    "calibration-in-words": _calibration(_calibration_in_words),
    "calibration-left-out": _calibration(_calibration_left_out),
    "calibration-pooled": _calibration(_calibration_pooled),
    "calibration-theories": _calibration(_calibration_theories),
    "calibration-plainly": _calibration(_calibration_plainly),
    "calibration-alike": _calibration(_calibration_alike),
    "calibration-sensitivity": _calibration(_calibration_sensitivity),
    "calibration-unused": _calibration(_calibration_unused), "calibration-made": _calibration(_calibration_made),
    "calibration-formula": _calibration_formula,
}
