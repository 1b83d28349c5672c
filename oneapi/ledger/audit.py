"""Every bill computed again: records from their own rows and prices, sums from the records.

Reads in short transactions while gateways go on writing. How far back the records go is told too:
what was purged is known by its closing entries alone (D28).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from sqlite_utils import Database

from oneapi.ir import USAGE_BUCKETS, Usage
from oneapi.ledger import audit_sums
from oneapi.ledger.opening import reading
from oneapi.ledger.prices import Price
from oneapi.ledger.record import ID_SHIFT, first_id, id_time_ms
from oneapi.ledger.rollups import Sums, sums_of, sums_sql
from oneapi.ledger.tables_logs import DAY_MS, KEYS, SUMS

What: TypeAlias = Literal["cost", "price", "hours", "spend", "credit"]
"""What is wrong: a record's cost, the numbers of a price, the sums by the hour, what an account has
spent, a user's credit."""
Progress: TypeAlias = Callable[[int, int], None]
"""Told of the Unix millisecond it came to and the records it has looked at."""

UNPRICED: Final = "unpriced"
"""The price rule of what nothing prices, whose cost is not known."""
_PAGE: Final = 20_000
_FOREVER: Final = 2**63 - 1
_DIGEST: Final = 12
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not add up. `subject` names it, for a record by its id in hexadecimal.
    Numbers are in nano-dollars, or in the sum's own unit; None: not known.
    """

    what: What
    subject: str
    words: str
    stored: int | None = None
    computed: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Audited:
    """What was looked at. `older` records are of versions that kept no numbers with a price, so
    their costs cannot be computed again; `untold` sums of accounts reach into purged records, which
    alone could tell them. Times are Unix milliseconds, 0: there is none.
    """

    records: int = 0
    unpriced: int = 0
    older: int = 0
    cost_nanousd: int = 0
    days: int = 0
    accounts: int = 0
    untold: int = 0
    oldest_ms: int = 0
    purged_requests: int = 0
    purged_nanousd: int = 0
    purged_until_ms: int = 0
    differences: int = 0

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class _Prices:
    """The price of each number, made on first use; what is wrong with them is told once."""

    db: Database
    known: dict[int, Price | str] = field(default_factory=dict)
    wrong: list[Difference] = field(default_factory=list)

    def of(self, number: int) -> Price | str:
        """The price, `UNPRICED`, or "" where there are no numbers to compute with."""
        if number not in self.known:
            self.known[number] = self._read(number)
        return self.known[number]

    def _read(self, number: int) -> Price | str:
        row = self.db.execute(
            "SELECT n.name, p.body FROM names n LEFT JOIN price_rules p ON p.id = n.id"
            " WHERE n.id = ?",
            (number,),
        ).fetchone()
        name, body = row if row is not None else (f"#{number}", None)
        if name == UNPRICED:
            return UNPRICED
        if body is None:
            if row is None or _is_id(name):
                self.wrong.append(Difference("price", name, "its numbers are missing"))
            return ""
        try:
            price = Price.from_body(body)
        except ValueError as error:
            self.wrong.append(Difference("price", name, str(error)))
            return ""
        if price.id != name or price.body != body:
            words = f"its numbers were changed: they belong to {price.id}"
            self.wrong.append(Difference("price", name, words))
        return price


def audit(
    path: Path,
    found: Audited,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Difference]:
    """Compute everything again; each difference as it is found, what was looked at in `found`.

    Records of the period; sums of its whole days (UTC); what accounts have spent, and credits,
    where no period is given. Blocks; raises `StoreError`.
    """
    with reading(path) as db:
        _reach(db, found)
        checks = [_records(db, found, (since_ms, until_ms), progress)]
        checks.append(_days(db, found, since_ms, until_ms))
        if since_ms is None and until_ms is None:
            checks.append(_accounts(db, found))
        for check in checks:
            for difference in check:
                found.differences += 1
                yield difference


def _reach(db: Database, found: Audited) -> None:
    with _moment(db):
        oldest = db.execute("SELECT min(id) FROM records").fetchone()[0]
        found.oldest_ms = id_time_ms(oldest) if oldest is not None else 0
        last = db.execute("SELECT max(day_ms) FROM closings").fetchone()[0]
        if last is not None:
            row = db.execute(f"SELECT {sums_sql('closings')} FROM closings").fetchone()
            sums = sums_of(row)
            found.purged_requests, found.purged_nanousd = sums.requests, sums.cost_nanousd
            found.purged_until_ms = last + DAY_MS


def _records(
    db: Database,
    found: Audited,
    period: tuple[int | None, int | None],
    progress: Progress | None,
) -> Iterator[Difference]:
    since_ms, until_ms = period
    after = first_id(since_ms or 0) - 1
    until = _FOREVER if until_ms is None else first_id(until_ms)
    prices = _Prices(db)
    none = db.execute("SELECT id FROM names WHERE kind = 'source' AND name = 'none'").fetchone()
    unused = none[0] if none is not None else None
    sql = (
        f"SELECT id, price_rule_id, usage_source_id, cost_nanousd, {', '.join(USAGE_BUCKETS)}"
        " FROM records WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
    )
    while True:
        rows = db.execute(sql, (after, until, _PAGE)).fetchall()
        for number, rule, source, cost, *usage in rows:
            used = Usage(*usage) if source != unused else Usage()
            expected = _expected(found, prices, rule, used)
            found.cost_nanousd += cost or 0
            if expected == cost or expected is _NOT_KNOWN:
                continue
            words = "its cost is not what its usage and price make"
            yield Difference("cost", f"{number:016x}", words, cost, _number(expected))
        yield from prices.wrong
        prices.wrong.clear()
        found.records += len(rows)
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]
        if progress is not None:
            progress(id_time_ms(after), found.records)


_NOT_KNOWN: Final = ""


def _expected(found: Audited, prices: _Prices, rule: int | None, usage: Usage) -> int | str | None:
    """What a record must cost; None: no price, `_NOT_KNOWN`: its price has no numbers."""
    if rule is None:
        return 0
    price = prices.of(rule)
    if isinstance(price, Price):
        return price.cost(usage)
    if price == UNPRICED:
        found.unpriced += 1
        return None
    found.older += 1
    return _NOT_KNOWN


def _number(expected: int | str | None) -> int | None:
    return expected if isinstance(expected, int) else None


def _is_id(name: str) -> bool:
    """Whether a price's name has the digest of its numbers."""
    digest = name.rpartition("@")[2]
    return len(digest) == _DIGEST and set(digest) <= _HEX


def _days(
    db: Database, found: Audited, since_ms: int | None, until_ms: int | None
) -> Iterator[Difference]:
    """Each day's records and closing entries against its hours."""
    day = -(-(since_ms or 0) // DAY_MS) * DAY_MS
    last = _FOREVER if until_ms is None else until_ms // DAY_MS * DAY_MS
    while (day := _next_day(db, day)) < last:
        with _moment(db):
            hours = _sums(db, "hours", f"hour_ms >= {day} AND hour_ms < {day + DAY_MS}")
            ids = f"id >= {first_id(day)} AND id < {first_id(day + DAY_MS)}"
            records = _sums(db, "records", ids)
            for key, closed in _sums(db, "closings", f"day_ms = {day}").items():
                records.setdefault(key, Sums()).add(closed)
            for key in sorted(hours.keys() | records.keys()):
                yield from _compared(db, day, key, hours.get(key), records.get(key))
        found.days += 1
        day += DAY_MS


def _next_day(db: Database, day: int) -> int:
    """The first day from `day` on of which anything is known."""
    row = db.execute(
        f"SELECT (SELECT min(id) >> {ID_SHIFT} FROM records WHERE id >= ?),"
        " (SELECT min(hour_ms) FROM hours WHERE hour_ms >= ?),"
        " (SELECT min(day_ms) FROM closings WHERE day_ms >= ?)",
        (first_id(day), day, day),
    ).fetchone()
    first = min((ms for ms in row if ms is not None), default=_FOREVER)
    return int(first // DAY_MS * DAY_MS) if first != _FOREVER else _FOREVER


def _sums(db: Database, table: str, where: str) -> dict[tuple[int, ...], Sums]:
    keys = ", ".join(f"coalesce({key}, 0)" for key in KEYS)
    places = ", ".join(map(str, range(1, len(KEYS) + 1)))
    rows = db.execute(
        f"SELECT {keys}, {sums_sql(table)} FROM {table} WHERE {where} GROUP BY {places}"
    )
    return {row[: len(KEYS)]: sums_of(row[len(KEYS) :]) for row in rows}


def _compared(
    db: Database, day: int, key: tuple[int, ...], hours: Sums | None, records: Sums | None
) -> Iterator[Difference]:
    hours, records = hours or Sums(), records or Sums()
    if hours == records:
        return
    names = [
        row[0] if (row := db.execute("SELECT name FROM labels WHERE id = ?", (n,)).fetchone())
        else "-" for n in key
    ]  # fmt: skip
    date = datetime.fromtimestamp(day / 1000, UTC).date()
    for column in SUMS:
        stored, computed = getattr(hours, column), getattr(records, column)
        if stored != min(computed, _FOREVER):
            subject = f"{date} {'/'.join(names)} {column}"
            words = "the day's hours are not its records and closing entries"
            yield Difference("hours", subject, words, stored, computed)


def _accounts(db: Database, found: Audited) -> Iterator[Difference]:
    with _moment(db):
        for kind, checks in (
            ("spend", audit_sums.spend(db)),
            ("credit", audit_sums.credits(db)),
        ):
            for check in checks:
                if check.computed is None:
                    found.untold += 1
                    continue
                found.accounts += 1
                if check.stored != check.computed:
                    what: What = "spend" if kind == "spend" else "credit"
                    yield Difference(what, check.subject, check.words, check.stored, check.computed)


@contextmanager
def _moment(db: Database) -> Iterator[None]:
    """Everything inside sees the ledger as of one moment."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")
