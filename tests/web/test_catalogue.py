"""The texts: the same in every language, each one there that a page asks for, and none that no page asks for."""

from __future__ import annotations

import ast
import datetime as dt
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import nodes

from deqi.consult.wording import number
from deqi.errors import DeqiError, InputError
from deqi.web import catalogue
from deqi.web.catalogue import MissingText, Words, languages, texts
from deqi.web.locale import Locale, negotiated
from deqi.web.page import environment, fill

WEB = Path(catalogue.__file__).parent
PLURALS = {"zero", "one", "two", "few", "many", "other"}
Chain = tuple[str, ...]


def leaves(words: object, path: Chain = ()) -> Iterator[tuple[Chain, object]]:
    rows = dict(words) if isinstance(words, Mapping) else dict(enumerate(words)) if isinstance(words, tuple) else None
    if rows is None:
        yield path, words
    elif "other" in rows and set(rows) <= PLURALS:
        yield path, rows["other"]  # languages differ in their plurals
    else:
        for key, value in rows.items():
            yield from leaves(value, (*path, str(key)))


def blanks(text: object) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(str(text)) if field is not None}


def chain(node: object, roots: frozenset[str] = frozenset({"t"})) -> Chain | None:
    """The keys of `t.a.b["c"]`, in a template or in code; None for anything else."""
    match node:
        case nodes.Name(name=name) | ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
            return () if name in roots else None
        case nodes.Getattr(node=inner, attr=key) | ast.Attribute(value=inner, attr=key):
            before = chain(inner, roots)
        case nodes.Getitem(node=inner, arg=nodes.Const(value=key)):
            before = chain(inner, roots)
        case ast.Subscript(value=inner, slice=ast.Constant(value=key)):
            before = chain(inner, roots)
        case _:
            return None
    return None if before is None else (*before, str(key))


def chains(node: nodes.Node | ast.AST, roots: frozenset[str] = frozenset({"t"})) -> Iterator[Chain]:
    """Each whole chain below a node; a key that is known only later ends it, and so asks for all below."""
    keys = chain(node, roots)
    if keys is not None:
        yield keys
        return
    for child in node.iter_child_nodes() if isinstance(node, nodes.Node) else ast.iter_child_nodes(node):
        yield from chains(child, roots)


def names_of_texts(tree: ast.AST) -> frozenset[str]:
    """What the catalogue is called in a module: `texts`, if it is this one, and what that was given to."""
    if not any(isinstance(node, ast.ImportFrom) and node.module and node.module.endswith("catalogue")
               for node in ast.walk(tree)):
        return frozenset()
    given = {target.id for node in ast.walk(tree) if isinstance(node, ast.Assign) and chain(
        node.value, frozenset({"texts"})) == () for target in node.targets if isinstance(target, ast.Name)}
    return frozenset({"texts", *given})


def asked() -> set[tuple[str, Chain]]:
    """Every chain of keys, and where it stands."""
    found = {(file.name, keys) for file in WEB.rglob("*.j2")
             for keys in chains(environment().parse(file.read_text(encoding="utf-8")))}
    for file in WEB.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found |= {(file.name, keys) for keys in chains(tree, names_of_texts(tree))}
    return {(where, keys) for where, keys in found if keys}


def test_a_page_asks_only_for_texts_that_exist() -> None:
    missing = []
    for where, keys in sorted(asked()):
        words: object = texts()
        for key in keys:
            if not isinstance(words, Mapping) or hasattr(Mapping, key):
                break  # a method
            if key not in words:
                missing.append(f"{where}: t.{'.'.join(keys)}")
                break
            words = words[key]
    assert not missing


def test_every_text_is_asked_for() -> None:
    reached = {keys for _, keys in asked()}
    idle = [".".join(path) for path, _ in leaves(texts())
            if not any(path[:len(keys)] == keys[:len(path)] for keys in reached)]
    assert not idle


@pytest.mark.parametrize("language", languages())
def test_every_language_has_the_same_texts_with_the_same_blanks(language: str) -> None:
    first = {path: blanks(text) for path, text in leaves(texts())}
    assert {path: blanks(text) for path, text in leaves(texts(language))} == first


def test_a_text_is_a_text() -> None:
    """YAML makes `no` false, a missing value None, and a key of what follows a comma in braces."""
    assert not [path for path, text in leaves(texts()) if not isinstance(text, str)]


def test_a_missing_text_is_told_by_its_path() -> None:
    page = environment().from_string("{{ t.common.nav.nowhere }}")
    with pytest.raises(MissingText, match="texts.common.nav.nowhere"):
        page.render(t=texts())
    with pytest.raises(jinja2.UndefinedError):
        environment().from_string("{{ nothing }}").render(t=texts())


def test_a_key_that_hides_a_method_is_refused() -> None:
    with pytest.raises(DeqiError, match="items"):
        Words("texts", {"list": {"items": "Things"}})


def test_what_is_filled_in_is_escaped() -> None:
    assert fill("<b> {n}", n="<i>") == "&lt;b&gt; &lt;i&gt;"


@pytest.mark.parametrize(("tag", "shown", "date"), [
    ("en-GB", "6.5", "3 Jan 2026"), ("en-US", "6.5", "Jan 3, 2026"), ("de-DE", "6,5", "3 Jan 2026"),
    ("de", "6,5", "3 Jan 2026"), ("xx-YY", "6.5", "3 Jan 2026"), ("'; --", "6.5", "3 Jan 2026")])
def test_numbers_follow_the_country_and_words_the_language(tag: str, shown: str, date: str) -> None:
    fmt = Locale(tag)
    assert (fmt.number(6.5), fmt.date(dt.date(2026, 1, 3)), fmt.language) == (shown, date, "en")


@pytest.mark.parametrize(("setting", "accepted", "tag"), [
    (None, "fr;q=0.3, de-CH;q=0.9, xx", "en-CH"), ("en-US", "de-DE", "en-US"), (None, None, "en-GB"),
    (None, "*", "en-GB"), (None, "de;q=0, en-IE", "en-IE"), ("nonsense", "de-DE", "en-DE"),
    (None, "," * 9999, "en-GB")])
def test_the_account_wins_over_the_browser(setting: str | None, accepted: str | None, tag: str) -> None:
    assert negotiated(setting, accepted).tag == tag


@given(st.decimals(-9999, 9999, places=2), st.sampled_from(["en-GB", "de-DE", "fr-CH"]))
def test_a_number_is_read_with_point_or_comma(value: object, tag: str) -> None:
    fmt = Locale(tag)
    assert fmt.parse_number(f" {value} ") == fmt.parse_number(str(value).replace(".", ",")) == float(str(value))


@given(st.floats(-999, 999), st.integers(0, 2))
def test_a_number_reads_as_in_the_figures(value: float, digits: int) -> None:
    assert Locale("en-GB").number(value, digits) == number(value, digits)
    assert Locale("de-DE").number(value, digits) == number(value, digits).replace(".", ",")


@pytest.mark.parametrize("text", ["", "six", "6.5.1", "6,5,1", "1e3", "nan", "inf", "0x10", "6 5", "--6", ".", "٦"])
def test_nonsense_is_no_number(text: str) -> None:
    with pytest.raises(InputError, match="pain: not a number"):
        Locale("en-GB").parse_number(text, "pain")


@pytest.mark.parametrize(("tag", "text"), [("en-GB", "1,200"), ("de-DE", "1.200")])
def test_a_number_that_could_be_two_is_refused(tag: str, text: str) -> None:
    with pytest.raises(InputError, match="could be two"):
        Locale(tag).parse_number(text)


def test_a_clock_without_a_zone_is_left_alone() -> None:
    fmt = Locale("en-GB")
    assert fmt.datetime(dt.datetime(2026, 1, 3, 14, 5)) == "3 Jan 2026, 14:05"
    moment = dt.datetime(2026, 1, 3, 14, 5, tzinfo=dt.UTC)
    assert fmt.datetime(moment) == fmt.datetime(moment.astimezone().replace(tzinfo=None))
