"""Fills the documentation from the package, so that no table is written twice.

In a page, a line `{{ name argument }}` becomes what `TABLES[name]` makes, and `[[id]]` becomes a fact of the evidence
with its source as a tooltip. An id or a name that does not exist stops the build.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import calibration_tables
import stored_tables
from cells import grid, source
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


def _room(name: str) -> Room:
    return next(room for room in ROOMS if room.name == name)


def _states(name: str) -> str:
    return grid(("state", "unit", "meaning"),
                 ((f"`{state.name}`", state.unit, state.meaning) for state in _room(name).states))


def _signals(name: str) -> str:
    return grid(("signal", "unit", "without the theory", "meaning"), (
        (f"`{s.name}`", s.unit, "computed" if callable(s.neutral) else f"{s.neutral:g}", s.meaning)
        for s in _room(name).writes))


def _inputs() -> str:
    from deqi.body.inputs import INPUTS, SESSION_FIELDS

    return grid(("input", "unit", "at rest", "meaning"),
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
    return grid(("theory", "use", "findings", "within", "near", "outside"), rows)


def _matrix_in_words() -> str:
    from deqi.theories.scoreboard import in_words

    return "\n".join(f"- {line}" for line in in_words(_board().rows))


def _matrix() -> str:
    from deqi.theories.scoreboard import MATRIX

    return f"```text\n{MATRIX.read_text(encoding='utf-8')}```"


def _conflicts() -> str:
    from deqi.theories.scoreboard import conflicts

    return grid(("question", "met", "findings"), (
        (c["conflict"], f"{c['met']} of {c['of']}",
         ", ".join(f"`{id}` {told}" for id, told in c["experiments"].items()))
        for c in conflicts(_board().rows)))


def _apart() -> str:
    from deqi.theories import discriminate, report
    from deqi.theories.scoreboard import tied

    ranks = report.best(discriminate.ranking(tied(_board().rows)))
    return grid(("pair", "experiment", "bits with 40 an arm", "people an arm for 80 % power"), (
        (" / ".join(r.theories), r.candidate.says, f"{r.bits:.2f}", r.people_per_arm or "none would do")
        for r in ranks))


def _yardsticks() -> str:
    from deqi.theories.yardsticks import comparisons

    return grid(("model", "quantity", "published", "here", "unit", "source"), (
        (c.model, c.quantity, f"{c.published:.4g}", f"{c.value:.4g}", c.unit, c.source) for c in comparisons()))


def _bench_words() -> str:
    from deqi.theories.bodies import bodies
    from deqi.theories.readouts import DERIVED
    from deqi.theories.statistics import STATISTICS
    from deqi.theories.stimulus import stimuli

    return "\n\n".join((
        grid(("body", "what it is"), ((f"`{b.name}`", b.says) for b in bodies().values())),
        grid(("stimulus (`do`)", "what it is"), ((f"`{name}`", row["says"]) for name, row in stimuli().items())),
        grid(("read-out beside signals and states", "unit", "meaning"),
              ((f"`{r.name}`", r.unit, r.meaning) for r in DERIVED)),
        grid(("statistic", "moments", "comparison", "meaning"), (
            (f"`{name}`", s.moments or "", "yes" if s.compares else "", s.meaning) for name, s in STATISTICS.items()))))


def _band_rules() -> str:
    from deqi.theories.bands import rules

    return grid(("rule", "takes", "why"), ((f"`{name}`", ", ".join(row.get("from", ())), row["why"])
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
    return grid(("care", "words (the bold one is what deqi prints)"),
                 ((care.replace("_", " "), "; ".join(words)) for care, words in listed.items()))


def _plan_modifiers() -> str:
    return grid(("words", "for"), ((f"**{row['says'][0]}**" + "".join(f", {word}" for word in row["says"][1:]),
                                     ", ".join(row["for"])) for row in care_table("vocabulary")["modifiers"]))


def _plan_assumptions() -> str:
    return grid(("care", "when", "taken for granted"), (
        (care.replace("_", " "), _words(layer.get("when", {})) or "always",
         "; ".join(f"{field.replace('_', ' ')}: {_value(entry['value'])} ({source(entry['source'])})"
                   for field, entry in layer.items() if field != "when"))
        for care, layers in care_table("defaults")["defaults"].items() for layer in layers))


def _plan_limits() -> str:
    return grid(("field", "from", "to", "unit"), (
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
    return grid(("id", "question", "if yes", "source"), (
        (f"`{row['id']}`", row["ask"], row["action"], source(row["source"]))
        for row in rules("red_flags")["questions"]))


def _conditions() -> str:
    return grid(("id", "question"), (
        (f"`{row['id']}`", row["ask"]) for row in rules("contraindications")["conditions"]))


def _contraindications() -> str:
    return grid(("id", "kind", "what follows", "source"), (
        (f"`{row['id']}`", row["kind"], row["text"], source(row["source"]))
        for row in rules("contraindications")["rules"]))


def _medicines() -> str:
    return grid(("id", "also read as"), (
        (f"`{row['id']}`", ", ".join(row.get("also", ()))) for row in rules("contraindications")["medicines"]))


def _applicability() -> str:
    return grid(("extent", "because", "source"), (
        (row["status"], row["text"], source(row["source"])) for row in rules("applicability")["rules"]))


def _averages() -> str:
    """Prior and, where a calibration ships, posterior of every average: 5, 50 and 95 %."""
    import numpy as np

    from deqi.calibrate.validate import shipped
    from deqi.population.averages import averages, values

    listed = averages()
    prior = values(np.array([-1.645, 0.0, 1.645])[None].repeat(len(listed), axis=0))
    after = {row["name"]: row for row in shipped().get("averages", ())}
    return grid(("average", "prior", "after the trials", "learned", "unit", "source", "why"), (
        (f"`{a.name}`", _three(prior[a.name]), _three(after[a.name]["posterior"]) if a.name in after else "–",
         f"{100 * after[a.name]['learned']:.0f} %" if a.name in after else "–", a.unit, source(a.source), a.why)
        for a in listed))


def _three(band: Iterable[float]) -> str:
    low, middle, high = (f"{float(x):.3g}" for x in band)
    return f"{middle} ({low} to {high})"


def _anchors() -> str:
    from deqi.population.anchors import measure

    return grid(("published course", "week", "statistic", "band", "virtual people", "", "source"), (
        (row.anchor.replace("_", " "), row.week, row.statistic, f"{row.low:.0f} to {row.high:.0f}", f"{row.value:.1f}",
         "holds" if row.holds else "**missed**", source(row.source)) for row in measure(1024, seed=1)))


def _commands() -> str:
    from typer.main import get_command

    from deqi.cli import app

    return "\n".join(f"### deqi {name}\n\n{command.help}\n\n{grid(('argument', 'meaning'), _options(command))}\n"
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
    return grid(("use", "facts", "meaning"),
                 ((use or "other", sum(fact.use == use for fact in listed), words) for use, words in uses.items()))


def _tailoring() -> str:
    from deqi.consult.tailoring import table

    return grid(("part", "choice", "strength", "source"), (
        (part["label"] if number == 0 else "", row.get("words", choice) or "none" if row.get("words", choice) != "" else
         "near and further away", row["strength"], source(row["source"]))
        for part in table()["parts"].values() for number, (choice, row) in enumerate(part["choices"].items())))


def _questionnaires() -> str:
    from deqi.consult import instruments

    may = {"score_items": "adds up the answers", "enter_score": "takes scores"}
    return grid(("id", "questionnaire", "measures", "scores", "deqi", "source"), (
        (f"`{i.id}`", i.name, i.measures, ", ".join(f"`{p.id}` {p.low:g}-{p.high:g}" for p in i.parts), may[i.may],
         source(i.source)) for i in instruments.known().values()))


def _permissions() -> str:
    from fastapi.routing import iter_route_contexts

    from deqi.web.api import router as api
    from deqi.web.guard import rules
    from deqi.web.rooms import ROOMS as pages

    def row(route: Any) -> tuple[str, ...]:
        rule = rules()[route.name]
        return (f"`{' '.join(route.methods)} {route.path}`", f"`{route.name}`", ", ".join(rule.who),
                "record" if rule.record else "", rule.scope or "")

    return grid(("route", "rule", "who", "", "token"), (
        row(route) for part in (*pages, api) for route in iter_route_contexts(part.routes)))


TABLES: dict[str, Callable[..., str]] = {
    "states": _states, "signals": _signals, "inputs": _inputs, "equations": _equations,
    "plan-words": _plan_words, "plan-modifiers": _plan_modifiers, "plan-assumptions": _plan_assumptions,
    "plan-limits": _plan_limits, "not-modelled": _not_modelled, "red-flags": _red_flags, "conditions": _conditions,
    "contraindications": _contraindications, "medicines": _medicines, "applicability": _applicability,
    "theory": _theory, "score": _score, "matrix-in-words": _matrix_in_words, "matrix": _matrix,
    "conflicts": _conflicts, "apart": _apart, "yardsticks": _yardsticks, "bench-words": _bench_words,
    "band-rules": _band_rules,
    "averages": _averages, "anchors": _anchors, "commands": _commands, "evidence-counts": _evidence_counts,
    "tailoring": _tailoring, "questionnaires": _questionnaires, "permissions": _permissions,
} | calibration_tables.TABLES | stored_tables.TABLES
