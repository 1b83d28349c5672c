"""Records as they leave for people, spreadsheets and programs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, TextIO

from oneapi.ir import USAGE_BUCKETS
from oneapi.ledger import amounts
from oneapi.ledger.amounts import Currency

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet computes instead of showing it (D43)."""
_TEXTS: Final = (
    "user", "token", "group", "policy", "model", "channel", "served_model", "endpoint",
    "dialect_in", "dialect_out",
)  # fmt: skip
_LAST: Final = (
    "error_code", "upstream_status", "stream", "settlement", "usage_source", "price_rule",
    "ttft_ms", "total_ms", "attempts", "client", "revision",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """How times and money are shown: as the site has them."""

    zone: tzinfo = UTC
    currency: Currency = "usd"
    points_per_usd: int = amounts.POINTS

    def time(self, time_ms: int) -> str:
        """ISO 8601, to the millisecond, with the zone's offset."""
        moment = datetime.fromtimestamp(time_ms / 1000, self.zone)
        return moment.isoformat(timespec="milliseconds")

    def money(self, nanousd: int | None, decimals: int | None = None) -> str:
        return amounts.show(nanousd, self.currency, self.points_per_usd, decimals=decimals)

    def number(self, nanousd: int | None) -> str:
        """Money as a bare number; "" where it is not known."""
        if nanousd is None:
            return ""
        return amounts.plain(nanousd, self.currency, self.points_per_usd)

    @property
    def money_name(self) -> str:
        """The heading of a column of bare numbers."""
        return f"cost_{self.currency}"


def write_csv(out: TextIO, rows: Iterable[Mapping[str, Any]], look: Look) -> int:
    """Records as CSV (RFC 4180) with a heading; how many. Ids are hexadecimal: spreadsheets round
    numbers as long as ours.
    """
    writer = csv.writer(out)
    buckets = list(USAGE_BUCKETS)
    head = ["time", "id", "request_id", "status", *_TEXTS, look.money_name, *buckets, *_LAST]
    writer.writerow(head)
    count = 0
    for row in rows:
        cells = {
            **row,
            "time": look.time(row["time_ms"]),
            "id": f"{row['id']:016x}",
            look.money_name: look.number(row["cost_nanousd"]),
        }
        writer.writerow([guarded(cells[name]) for name in head])
        count += 1
    return count


def guarded(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: an apostrophe makes it text."""
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    if isinstance(value, bool):
        return int(value)
    return value


def printable(text: object) -> str:
    """Text from anywhere for a terminal's line: control characters as `\\x1b`."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
