"""Dates and decimals as a person's country writes them, and which country and language that is."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import TypeVar

import babel
from babel.core import get_global
from babel.dates import format_date, format_time, get_month_names
from babel.numbers import format_decimal, format_percent, get_decimal_symbol, get_group_symbol

from ..errors import InputError
from .catalogue import LANGUAGE, languages

Moment = TypeVar("Moment", bound=dt.date)

STANDARD = "en-GB"
"""For who states none, or one that nobody knows."""

_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)", re.ASCII)
_ITEM = re.compile(r"\s*([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*", re.ASCII)


class Locale:
    """How one person reads numbers and dates.

    Arguments:
        tag: a BCP 47 tag such as "de-AT"; an unknown one is taken as `STANDARD`.

    Attributes:
        language: of the texts, one of `catalogue.languages()`.
        tag: how numbers and dates are written: the language of the texts as the person's country uses it, so that
            an English page for a reader in Germany has "6,5" and no German names of months.
    """

    def __init__(self, tag: str | None = None):
        asked = _known(tag or STANDARD) or babel.Locale.parse(STANDARD, sep="-")
        self.language = asked.language if asked.language in languages() else LANGUAGE
        mixed = asked if self.language == asked.language else _known(f"{self.language}-{asked.territory}")
        self._locale = mixed or babel.Locale.parse(STANDARD, sep="-")
        self.tag = str(self._locale).replace("_", "-")

    @property
    def decimal(self) -> str:
        """The sign between ones and tenths."""
        return get_decimal_symbol(self._locale)

    def date(self, day: dt.date | None, style: str = "medium") -> str:
        """Return a date, "3 Jan 2026"; `style` is short, medium, long or full; none is a dash."""
        return "–" if day is None else format_date(_here(day), style, self._locale)

    def datetime(self, moment: dt.datetime | None, style: str = "medium") -> str:
        """Return date and time on this machine's clock; none is a dash."""
        if moment is None:
            return "–"
        return str(self._locale.datetime_formats[style]).format(self.time(moment), self.date(moment, style))

    def time(self, moment: dt.datetime | dt.time) -> str:
        """Return hours and minutes on this machine's clock."""
        return format_time(_here(moment) if isinstance(moment, dt.datetime) else moment, "short", locale=self._locale)

    def months(self, style: str = "wide") -> Mapping[int, str]:
        """Return the names of months from 1 to 12, as they stand alone; `style` is wide or abbreviated."""
        return get_month_names(style, "stand-alone", self._locale)  # type: ignore[arg-type]  # a str here

    def number(self, value: float | None, digits: int = 1) -> str:
        """Return a number without idle zeros, rounded as in `consult.wording.number`; none is a dash."""
        return "–" if value is None else format_decimal(
            Decimal(f"{value:.{digits}f}") + 0, f"#,##0.{'#' * digits}", self._locale)

    def percent(self, share: float | None, digits: int = 0) -> str:
        """Return a share of 1 as a percentage; none is a dash."""
        if share is None:
            return "–"
        pattern = self._locale.percent_formats[None].pattern.replace("0", f"0.{'#' * digits}" if digits else "0")
        return format_percent(Decimal(f"{share:.{digits + 2}f}") + 0, pattern, self._locale)

    def plural(self, count: float) -> str:
        """Return the form of words that goes with a count: one, other, and in some languages few or many."""
        return self._locale.plural_form(count)

    def parse_number(self, text: str, field: str | None = None) -> float:
        """Read a number that a person typed, with a point or a comma.

        Arguments:
            text: as typed; spaces around it are left out.
            field: the name of the field, for the message.

        Raises:
            InputError: it is no number, or could be two ("1,200").
        """
        typed = text.strip().replace("\u2212", "-")
        accepted = f"a number such as 6 or 6{self.decimal}5"
        if not _NUMBER.fullmatch(typed):
            raise InputError("not a number", field=field, found=text, accepted=accepted)
        group = re.escape(get_group_symbol(self._locale))
        if re.fullmatch(rf"[-+]?[1-9]\d{{0,2}}{group}\d{{3}}", typed):
            raise InputError("could be two numbers", field=field, found=text,
                             accepted=f"{accepted}, without a sign between thousands")
        return float(typed.replace(",", "."))


def negotiated(setting: str | None, accepted: str | None) -> Locale:
    """Return the locale for a request.

    Arguments:
        setting: of the account, which wins.
        accepted: the header Accept-Language.
    """
    wanted = [setting] if setting else []
    known = (tag for tag in [*wanted, *_preferred(accepted or "")] if _known(tag))
    return locale(next(known, STANDARD))


@cache
def locale(tag: str) -> Locale:
    """Return the locale of a tag; the same one each time."""
    return Locale(tag)


def _preferred(header: str) -> Sequence[str]:
    """Tags of an Accept-Language header, the best first (RFC 9110, 12.5.4)."""
    items = [_ITEM.fullmatch(part) for part in header[:400].split(",")]
    rated = [(float(item[2] or 1), item[1]) for item in items if item]
    return [tag for weight, tag in sorted(rated, key=lambda pair: -pair[0]) if weight > 0]


def _known(tag: str) -> babel.Locale | None:
    try:
        found = babel.Locale.parse(tag, sep="-")
    except (ValueError, babel.UnknownLocaleError):
        return None
    if found.territory or not (likely := get_global("likely_subtags").get(found.language)):
        return found
    return babel.Locale(found.language, likely.split("_")[-1], found.script)


def _here(moment: Moment) -> Moment:
    return moment.astimezone() if isinstance(moment, dt.datetime) and moment.tzinfo else moment
