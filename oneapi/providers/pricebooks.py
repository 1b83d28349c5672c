"""The vendored price lists: one TOML file a book in `prices/`, each row with its source and date.

Figures are dollars as their source has them; what a key means stands in `config.schema.Price`. A
row whose source or date is missing is refused.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Final

_RATES: Final = frozenset(
    {
        "input",
        "output",
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "reasoning",
        "audio_input",
        "audio_output",
        "image_input",
    }
)
_SINGLE: Final = frozenset({"image", "second", "character", "search", "request"})
_FIELDS: Final = _RATES | _SINGLE | {"tiers", "source", "date"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line: dollars by key, tiers as (above, dollars by key), images by variant. `source` is
    the page that says so, read on `date`.
    """

    model: str
    dollars: Mapping[str, Decimal]
    source: str
    date: str
    tiers: tuple[tuple[int, Mapping[str, Decimal]], ...] = ()
    images: Mapping[str, Decimal] = field(default_factory=dict)


@cache
def book(name: str) -> Mapping[str, Row]:
    """A book's rows by model name or glob; empty where there is no such book. Read once."""
    file = files(__package__).joinpath("prices", f"{name}.toml")
    return parse_book(name, file.read_text("utf-8")) if file.is_file() else {}


def names() -> list[str]:
    """Every book's name."""
    folder = files(__package__).joinpath("prices")
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name[-5:] == ".toml")


def parse_book(name: str, text: str) -> dict[str, Row]:
    """A book's text as rows. Raises `ValueError` naming the row and the key."""
    rows: dict[str, Row] = {}
    for model, table in tomllib.loads(text, parse_float=Decimal).items():
        try:
            rows[model] = _row(model, table)
        except (ValueError, TypeError) as error:
            raise ValueError(f"prices/{name}.toml: {model}: {error}") from error
    return rows


def _row(model: str, table: Mapping[str, Any]) -> Row:
    unknown = table.keys() - _FIELDS
    if unknown:
        raise ValueError(f"there is no key {min(unknown)}")
    source, read = table.get("source", ""), table.get("date")
    if not str(source).startswith("https://") or not isinstance(read, date):
        raise ValueError("needs its source and date")
    image = table.get("image")
    images = {k: _dollars("image", v) for k, v in image.items()} if isinstance(image, dict) else {}
    if isinstance(image, dict) and "*" not in images:
        raise ValueError('image: needs "*", for those that none of the others fits')
    dollars = {
        key: _dollars(key, value)
        for key, value in table.items()
        if key in _RATES | _SINGLE and not (key == "image" and images)
    }
    if not dollars and not images:
        raise ValueError("has no price")
    tiers = tuple(_tier(tier) for tier in table.get("tiers", ()))
    return Row(model, dollars, source, read.isoformat(), tiers, images)


def _tier(table: Mapping[str, Any]) -> tuple[int, Mapping[str, Decimal]]:
    above = table.get("above")
    if not isinstance(above, int) or above < 1 or table.keys() - _RATES - {"above"}:
        raise ValueError("tiers: must have `above`, a number of tokens, and rates")
    return above, {key: _dollars(key, value) for key, value in table.items() if key != "above"}


def _dollars(key: str, value: object) -> Decimal:
    number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    dollars = Decimal(str(value)) if number else Decimal("NaN")
    if not dollars.is_finite() or dollars < 0 or dollars != round(dollars, 9):
        raise ValueError(f"{key}: must be a number of dollars, with nine decimals at most")
    return dollars
