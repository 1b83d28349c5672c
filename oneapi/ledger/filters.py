"""Which records somebody asks for, as SQL: one condition that an index answers, and the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlite_utils import Database

from oneapi.ledger.names import MAX_NAME
from oneapi.ledger.record import first_id
from oneapi.ledger.rows import storable
from oneapi.ledger.schema import NAMED, REQUEST_ID
from oneapi.ledger.tables_logs import INDEXED, USUAL

_FOREVER: Final = 2**63 - 1
_COLUMN: Final = {name: (column, kind) for name, column, kind in NAMED}
_NARROWEST: Final = ("token", "user", "model", "channel")
"""Indexed names, in the order in which they are likely to leave the fewest records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is asked of a record; None: anything. `since_ms` is inclusive, `until_ms` exclusive,
    both Unix milliseconds of its arrival.

    `request_id` is a part of it, `failed` a status of 400 and above (or not), `priced` a known
    cost (or not).
    """

    since_ms: int | None = None
    until_ms: int | None = None
    user: str | None = None
    token: str | None = None
    model: str | None = None
    channel: str | None = None
    status: int | None = None
    group: str | None = None
    policy: str | None = None
    revision: str | None = None
    endpoint: str | None = None
    dialect_in: str | None = None
    dialect_out: str | None = None
    served_model: str | None = None
    error_code: str | None = None
    usage_source: str | None = None
    price_rule: str | None = None
    settlement: str | None = None
    stream: bool | None = None
    failed: bool | None = None
    priced: bool | None = None
    min_cost_nanousd: int | None = None
    min_total_ms: int | None = None
    request_id: str | None = None

    @property
    def bounds(self) -> tuple[int, int]:
        """The first id that is in the period, and the first after it."""
        return first_id(self.since_ms or 0), (
            _FOREVER if self.until_ms is None else first_id(self.until_ms)
        )


@dataclass(frozen=True, slots=True)
class Conditions:
    """SQL over `records r`. `drivers` are alternatives of which each is one value of an index:
    each alone, with `r.id` in order, is read without sorting; empty: no index but that by time.
    `rest` is looked at record by record.
    """

    drivers: tuple[str, ...]
    rest: tuple[str, ...]
    values: Mapping[str, Any]
    impossible: bool = False

    @property
    def every(self) -> str:
        """All of it as one condition."""
        driven = f"({' OR '.join(self.drivers)})" if self.drivers else "true"
        return " AND ".join(("false" if self.impossible else driven, *self.rest))

    def alternatives(self) -> Sequence[str]:
        """One condition an index; each record fits one of them at most."""
        return [" AND ".join((driver, *self.rest)) for driver in self.drivers or ("true",)]


@dataclass(slots=True)
class _Made:
    drivers: tuple[str, ...] = ()
    rest: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    impossible: bool = False


def conditions(db: Database, wanted: Filter) -> Conditions:
    """The filter without its period."""
    made = _Made()
    _by_name(db, wanted, made)
    _by_status(wanted, made)
    _by_value(wanted, made)
    return Conditions(made.drivers, tuple(made.rest), made.values, made.impossible)


def _by_name(db: Database, wanted: Filter, made: _Made) -> None:
    """A name means all numbers it is shown for (`was`); the first indexed one drives."""
    order = (*_NARROWEST, *(name for name in _COLUMN if name not in _NARROWEST))
    for name in order:
        asked = getattr(wanted, name)
        if asked is None:
            continue
        column, kind = _COLUMN[name]
        if asked == "":  # the record has none
            made.rest.append(f"r.{column} IS NULL")
            continue
        kept = storable(asked)[:MAX_NAME]
        rows = db.execute("SELECT id FROM labels WHERE kind = ? AND name = ?", (kind, kept))
        ids = [int(number) for (number,) in rows]
        if not ids:
            made.impossible = True
        elif column in INDEXED and not made.drivers:
            made.drivers = tuple(f"r.{column} = {number}" for number in ids)
        else:
            # The plus keeps SQLite from choosing another index than the driver's.
            made.rest.append(f"+r.{column} IN ({', '.join(map(str, ids))})")


def _by_status(wanted: Filter, made: _Made) -> None:
    if wanted.status is None:
        return
    made.values["status"] = _within(wanted.status)
    if not made.drivers and wanted.status != USUAL:
        made.drivers = (f"r.status = :status AND r.status <> {USUAL}",)  # the index is partial
    else:
        made.rest.append("+r.status = :status")


def _by_value(wanted: Filter, made: _Made) -> None:
    simple = {
        "stream": "r.stream = :stream",
        "failed": "(+r.status >= 400) = :failed",
        "priced": "(r.cost_nanousd IS NOT NULL) = :priced",
        "min_cost_nanousd": "r.cost_nanousd >= :min_cost_nanousd",
        "min_total_ms": "r.total_ms >= :min_total_ms",
        "request_id": f"instr({REQUEST_ID}, :request_id) > 0",
    }
    for name, condition in simple.items():
        asked = getattr(wanted, name)
        if asked is not None:
            made.rest.append(condition)
            made.values[name] = storable(asked) if isinstance(asked, str) else _within(int(asked))


def _within(number: int) -> int:
    """A number that SQLite takes: none beyond it is in any record."""
    return max(-_FOREVER, min(number, _FOREVER))
