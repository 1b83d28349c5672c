"""Money as text, exactly: nano-dollars as dollars or One API's points, and back. No floats.

A nano-dollar is a ninth decimal of a dollar; a point is 1/`points_per_usd` of a dollar, so that
nine decimals hold any sum in points too.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from oneapi.config.values import Amount
from oneapi.ledger.prices import NANO

POINTS: Final = 500_000
"""One API's points in a dollar."""

Currency: TypeAlias = Literal["usd", "points"]

_TEXT = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<dollar>\$?)\s*(?P<sign2>[+-]?)(?P<number>(?:\d{1,3}(?:,\d{3})+|\d[\d_]*)(?:\.\d+)?)\s*"
    r"(?P<unit>usd|dollars?|points?|)",
    re.ASCII | re.IGNORECASE,
)


def show(
    nanousd: int | None,
    currency: Currency = "usd",
    points_per_usd: int = POINTS,
    *,
    decimals: int | None = None,
) -> str:
    """A sum for people, to its last digit: `$0.0075`, `-$1,250.50`, `3,750 points`; "?" for None.

    `decimals` says how many are shown at least, and cuts nothing: columns of money read better.
    """
    if nanousd is None:
        return "?"
    sign = "-" if nanousd < 0 else ""
    size = abs(nanousd)
    if currency == "points":
        number = _decimal(size * points_per_usd, decimals or 0)
        return f"{sign}{number} point{'' if number == '1' else 's'}"
    return f"{sign}${_decimal(size, 2 if decimals is None else decimals)}"


def plain(nanousd: int, currency: Currency = "usd", points_per_usd: int = POINTS) -> str:
    """A sum as a bare number for files and programs: `0.0075`, `-1250.5`, `3750`."""
    size = abs(nanousd) * (points_per_usd if currency == "points" else 1)
    return ("-" if nanousd < 0 else "") + _decimal(size, 0).replace(",", "")


def parse(text: str, currency: Currency = "usd", points_per_usd: int = POINTS) -> int:
    """Nano-dollars of `$20`, `20usd`, `-0.5 usd`, `10,000 points`; a bare number is `currency`.

    Raises `ValueError`, in words for people, for anything else and for what is finer than a
    nano-dollar.
    """
    found = _TEXT.fullmatch(text.strip())
    unit = found["unit"].lower().rstrip("s") if found else ""
    if found is None or (found["sign"] and found["sign2"]) or (found["dollar"] and unit):
        raise ValueError(f'{text!r} is no amount of money such as "$20" or "500000 points"')
    number = Decimal(found["number"].replace(",", "").replace("_", ""))
    points = unit == "point" or (not unit and not found["dollar"] and currency == "points")
    size = nanousd(Amount("points" if points else "usd", number), points_per_usd)
    return -size if "-" in (found["sign"], found["sign2"]) else size


def nanousd(amount: Amount, points_per_usd: int = POINTS) -> int:
    """An amount of the file as nano-dollars.

    Points that are no whole number of them (there are none at One API's 500,000 a dollar) lose
    the fraction. Raises `ValueError` for dollars finer than a nano-dollar, and for what is no
    money.
    """
    numerator, denominator = amount.value.as_integer_ratio()  # exact, whatever Decimal's context
    match amount.unit:
        case "usd":
            size, rest = divmod(numerator * NANO, denominator)
            if rest:
                raise ValueError(f"${amount.value} is finer than a nano-dollar (nine decimals)")
            return size
        case "points":
            return numerator * NANO // (denominator * points_per_usd)
        case "tokens" | "requests":
            raise ValueError(f"{amount.value} {amount.unit} is no amount of money")


def _decimal(billionths: int, decimals: int) -> str:
    """Billionths of one as a decimal number with thousands' commas, without needless zeros."""
    whole, rest = divmod(billionths, NANO)
    digits = f"{rest:09d}".rstrip("0").ljust(decimals, "0")
    return f"{whole:,}.{digits}" if digits else f"{whole:,}"
