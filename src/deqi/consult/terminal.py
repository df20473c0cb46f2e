"""The consultation on a terminal: the page in the same order, in at most 40 lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from deqi.consult.wording import care_under_way, number, texts

LINES = 40
STYLES = {"clear": "bold blue", "caution": "bold yellow", "refer": "bold red",
          "emergency": "bold white on red"}


def show(result: Mapping[str, Any], console: Console, report: str | None = None) -> None:
    """Print a consultation in at most 40 lines; what does not fit is named and stands in the report.

    What the result says is printed as text: it is never read as markup, and control characters are dropped.

    Arguments:
        result: the consultation, as `deqi consult --json` writes it.
        console: where to print; it decides about colour and width.
        report: the path of the page, if one was written.
    """
    words = texts()["terminal"]
    body = [line for piece in _pieces(result) for line in console.render_lines(piece, pad=False)]
    foot = [_say(words["report"].format(path=report), "bold")] if report else []
    room = LINES - len(foot) * len(console.render_lines(foot[0])) if foot else LINES
    if len(body) > room:
        body, left = body[:room - 1], len(body) - room + 1
        foot.insert(0, _say(words["more"].format(n=left), "dim"))
    for line in body:
        console.print(_Line(line))
    for piece in foot:
        console.print(piece)


class _Line:
    """One line that is laid out already."""

    def __init__(self, segments: Sequence[Segment]):
        self.segments = segments

    def __rich_console__(self, *_: object) -> Iterator[Segment]:
        yield from self.segments
        yield Segment.line()


def _pieces(result: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield from _screening(result)
    if result["screening"]["status"] == "emergency":
        return
    patient, t = result["patient"], texts()
    where = patient["applicability"]
    if where["status"] != "inside":
        yield _say(t["stand"][where["status"]] + " " + " ".join(where["reasons"]), "yellow")
    if where["status"] == "outside" or not result["options"]:
        return
    if result["evidence"]["calibration"] == "not yet calibrated":
        yield _say(t["uncalibrated"], "bold red")
    yield _options(result["options"])
    yield from (_item(f"{option['label']}. {t['options']['unavailable']}. {option['why_not']}")
                for option in result["options"] if not option["available"])
    yield _say(t["sham"]["short"], "dim")
    tailored = result["tailored"]
    now = result.get("review")
    if now:
        why = " ".join(now.get("why", []))
        yield _say(f"{care_under_way(now)} {t['review']['verdicts'][now['verdict']]} {why}".strip())
    if tailored:
        yield _say(t["headings"]["plan"], "bold")
        yield from (_item(step) for step in tailored["plan"])
        if tailored.get("replaces"):
            yield _say(tailored["replaces"])
        yield _say(t["plan"]["device"], "dim")
        yield _say(t["headings"]["review"], "bold")
        yield from (_item(t["terminal"]["rule"].format(**{**row, "week": number(row["week"])}))
                    for row in tailored["review"])


def _screening(result: Mapping[str, Any]) -> Iterator[RenderableType]:
    words, screening = texts()["screening"], result["screening"]
    status = words["status"][screening["status"]]
    first = Text(f" {status['mark']} {status['word']} ", style=STYLES[screening["status"]])
    yield Text.assemble(first, " ", status["line"])
    unasked = [finding for finding in screening["findings"] if finding["kind"] == "not_asked"]
    yield from (_item(finding["text"]) for finding in screening["findings"] if finding not in unasked)
    if unasked:
        yield _item(words["open_short"].format(n=len(unasked)))
    yield _say(status["next"], "bold")


def _options(options: Sequence[Mapping[str, Any]]) -> Table:
    words = texts()["terminal"]
    week = next((option["benefit"]["week"] for option in options if option["available"]), 12)
    table = Table(title=words["table"].format(week=number(week)), title_justify="left", title_style="bold",
                  box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for column in words["columns"]:
        table.add_column(column, overflow="fold")
    for option in options:
        if not option["available"]:
            table.add_row(_clean(option["label"]), *[""] * (len(words["columns"]) - 1))
            continue
        benefit, burden = option["benefit"], option["burden"]
        improved, anyway = (round(benefit["improved_30pct"][key]) for key in ("with", "without"))
        harms = [_first(option["harms"]["common"], "per_100"), _first(option["harms"]["rare"], "per_10000")]
        table.add_row(_clean(option["label"]), str(improved), f"{improved - anyway:+d}",
                      words["range"].format(**{key: number(value) for key, value in benefit["pain"].items()}),
                      *([words["none"]] * 2 if option["id"] == "nothing" else harms),
                      words["time"].format(visits=number(burden["visits"]),
                                           hours=number(burden["practitioner_hours"] + burden["home_hours"])),
                      style="bold" if option["id"] == "tailored" else "")
    return table


def _first(harms: Sequence[Mapping[str, Any]], per: str) -> str:
    """The count of the harm that stands first; a dash where none is known, which does not mean none."""
    count = next((harm[per] for harm in harms if harm[per] is not None), None)
    return "<1" if count is not None and 0 < count < 1 else number(count, 0)


def _item(words: str) -> Padding:
    return Padding(Text("· ").append_text(_clean(words)), (0, 0, 0, 1))


def _say(words: str, style: str = "") -> Text:
    text = _clean(words)
    text.stylize(style)
    return text


def _clean(words: str) -> Text:
    return Text("".join(character if character.isprintable() else " " for character in str(words)))
