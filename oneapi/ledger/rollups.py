"""What was used, added up: from the sums by the hour where they tell the same as the records.

A period's whole hours come from `hours`, its ragged ends from `records`, so every sum is exact
to the millisecond as far as records reach. Of purged records whole hours are known alone, and
whole days (UTC) of what was merged: an end that cuts one of those leaves it out.

`until_ms` is exclusive, `since_ms` inclusive, both Unix milliseconds of the requests' arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from sqlite_utils import Database

from oneapi.errors import UsageError
from oneapi.ledger.accounts import Account, Counting, Period, Scope
from oneapi.ledger.opening import reading
from oneapi.ledger.record import first_id, id_time_ms
from oneapi.ledger.schema import NAMED
from oneapi.ledger.tables_logs import COUNTS, DAY_MS, HOUR_MS, ID_SHIFT, KEYS, SUMS, summed, upsert

JSON = Any
Step: TypeAlias = Literal["hour", "day", "week", "month"]

ROLLED: Final = {key.removesuffix("_id"): key for key in KEYS}
"""What sums are kept by: field, column."""
USAGE_KEYS: Final = (
    "day",
    *(field for field, _, _ in NAMED if field not in ("revision", "usage_source")),
)
"""What usage can be added up by. Others than days and `ROLLED` are read from the records."""
MERGED: Final = "merged"
"""The mark up to which hours have become days."""
PURGED: Final = "purged"
"""The mark up to which (at least in part) records are gone."""
MERGE_AFTER_MS: Final = 92 * DAY_MS
"""Age at which hours become days: no calendar period or chart by the hour reaches so far back."""

_SHOWN: Final = (
    "requests", "errors", "input_tokens", "output_tokens", "cost_nanousd", "unpriced",
)  # fmt: skip
_SLOT_MS: Final = HOUR_MS // 4  # every zone's days begin at a quarter of an hour
_SEASON_MS: Final = 28 * DAY_MS  # no zone's summer time is shorter
_FOREVER: Final = 2**63 - 1
_COLUMNS: Final = dict((field, column) for field, column, _ in NAMED)


@dataclass(slots=True)
class Sums:
    """What some requests used. `cached_tenths` and `answered` are told of in `tables_logs`."""

    requests: int = 0
    attempted: int = 0
    errors: int = 0
    unpriced: int = 0
    cost_nanousd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cached_tenths: int = 0
    total_ms: int = 0
    ttft_ms: int = 0
    answered: int = 0

    def add(self, other: Sums) -> None:
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def tokens(self, counting: Counting) -> int:
        """As `accounts.counted_tokens` counts each request's."""
        spent = self.input_tokens + self.output_tokens
        if counting == "all":
            return spent
        fresh = spent - self.cached_tokens
        return fresh if counting == "fresh" else fresh + self.cached_tenths

    def amount(self, account: Account) -> int:
        """What these requests add to an account."""
        match account.unit:
            case "nanousd":
                return self.cost_nanousd
            case "requests":
                return self.attempted
            case "tokens":
                return self.tokens(account.counting)

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in SUMS}


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of time and the table that tells of it."""

    table: Literal["hours", "records"]
    since_ms: int
    until_ms: int


def spent(
    db: Database,
    scope: Scope,
    ids: Sequence[int],
    *,
    since_ms: int = 0,
    until_ms: int | None = None,
) -> Sums:
    """What an account's requests used, within the caller's transaction.

    `ids` are all numbers that its name has (`labels`). `hours` is never purged: nothing of
    `closings` is to be added.
    """
    whole = Sums()
    marks = ", ".join(str(int(number)) for number in ids) or "NULL"
    where = f"{ROLLED[scope]} IN ({marks})"
    for part in parts(db, since_ms, until_ms):
        for *_, found in _added(db, part, where=where):
            whole.add(found)
    return whole


def each(
    db: Database, scope: Scope, *, since_ms: int = 0, until_ms: int | None = None
) -> dict[int, Sums]:
    """What everyone of a scope used, by number, within the caller's transaction."""
    found: dict[int, Sums] = {}
    for part in parts(db, since_ms, until_ms):
        for _, (number,), sums in _added(db, part, [ROLLED[scope]]):
            found.setdefault(number or 0, Sums()).add(sums)
    return found


def usage(
    path: Path,
    *,
    by: Sequence[str] = (),
    since_ms: int | None = None,
    until_ms: int | None = None,
    zone: tzinfo = UTC,
) -> list[dict[str, JSON]]:
    """Requests, errors (status 400 and above), tokens and cost, added up by the given keys.

    Keys are those of `USAGE_KEYS`, days the zone's; without any there is one row, the whole.
    `unpriced` counts the requests whose cost is not known. Raises `UsageError` for an unknown key.
    """
    for key in by:
        if key not in USAGE_KEYS:
            known = ", ".join(USAGE_KEYS)
            raise UsageError(f"usage cannot be added up by {key!r}; it can be by {known}")
    named = [key for key in by if key != "day"]
    totals: dict[tuple[str, ...], Sums] = {} if by else {(): Sums()}
    with reading(path) as db:
        rows = _rows(db, named, since_ms, until_ms, zone if "day" in by else None, wanted=_SHOWN)
        for slot, ids, found in rows:
            day = datetime.fromtimestamp(slot / 1000, zone).strftime("%Y-%m-%d")
            names = iter(ids)
            place = tuple(day if key == "day" else next(names) for key in by)
            totals.setdefault(place, Sums()).add(found)
    return [
        {**dict(zip(by, place, strict=True)), **{name: getattr(sums, name) for name in _SHOWN}}
        for place, sums in sorted(totals.items())
    ]


def series(
    path: Path,
    by: str | None = None,
    *,
    since_ms: int,
    until_ms: int | None = None,
    step: Step = "day",
    zone: tzinfo = UTC,
) -> list[dict[str, JSON]]:
    """Sums by step of time, and by one of `ROLLED` where asked: for charts.

    Rows hold `time_ms` (the step's beginning in the zone), the key's name, and all of `SUMS`;
    steps in which nothing happened are left out. Hours older than 92 days are told by the day.
    Raises `UsageError` for an unknown key.
    """
    if by is not None and by not in ROLLED:
        raise UsageError(f"a chart cannot be by {by!r}; it can be by {', '.join(ROLLED)}")
    period = Period(step)
    totals: dict[tuple[int, str], Sums] = {}
    with reading(path) as db:
        for slot, ids, found in _rows(db, [by] if by else [], since_ms, until_ms, zone):
            place = (period.bucket(slot, zone), ids[0] if ids else "")
            totals.setdefault(place, Sums()).add(found)
    return [
        {"time_ms": time_ms, **({by: name} if by else {}), **sums.as_dict()}
        for (time_ms, name), sums in sorted(totals.items())
    ]


def parts(
    db: Database, since_ms: int, until_ms: int | None, *, by_records_until: int = 0
) -> list[Part]:
    """Which table tells of which part of a period. Before `by_records_until` records are read as
    far as they reach, since sums are too coarse there.
    """
    until = _FOREVER if until_ms is None else until_ms
    if by_records_until > since_ms:
        reach = max(since_ms, _reach_ms(db, since_ms))
        middle = min(by_records_until, until)
        found = parts(db, since_ms, min(reach, until)) if reach > since_ms else []
        found += [Part("records", reach, middle)] if reach < middle else []
        rest = max(reach, middle)
        return found + (parts(db, rest, until_ms) if rest < until else [])
    merged = mark(db, MERGED)
    first = _up(since_ms, DAY_MS if since_ms < merged else HOUR_MS)
    last = until if until == _FOREVER else until - until % (DAY_MS if until < merged else HOUR_MS)
    if first >= last:
        return [Part("records", since_ms, until)]
    ends = (
        Part("records", since_ms, first),
        Part("hours", first, last),
        Part("records", last, until),
    )
    return [part for part in ends if part.since_ms < part.until_ms]


def whole(db: Database, since_ms: int, until_ms: int | None) -> bool:
    """Whether a period's sums are still known to the millisecond: purging and merging leave no
    ragged ends of what is gone.
    """
    purged = mark(db, PURGED)
    return all(
        part.table == "hours" or part.since_ms >= purged for part in parts(db, since_ms, until_ms)
    )


def mark(db: Database, name: str) -> int:
    """How far something has come, Unix ms; 0 where it has not begun."""
    row = db.execute("SELECT time_ms FROM log_marks WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def set_mark(db: Database, name: str, time_ms: int) -> None:
    """Note how far something has come, within the caller's transaction; it never goes back."""
    db.execute(
        "INSERT INTO log_marks (name, time_ms) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET time_ms = max(time_ms, excluded.time_ms)",
        (name, time_ms),
    )


def merge(db: Database, now_ms: int, *, rows: int = 1_000) -> int:
    """Make days of the oldest hours, so many rows of `hours` at most; how many went. 0: all done.

    One transaction's work. The mark comes first: whoever adds up takes such a day whole from then.
    """
    border = (now_ms - MERGE_AFTER_MS) // DAY_MS * DAY_MS
    done = mark(db, MERGED)
    row = db.execute(
        f"SELECT min(hour_ms) FROM hours WHERE hour_ms >= ? AND hour_ms < ?"
        f" AND hour_ms % {DAY_MS} <> 0",
        (done - DAY_MS, border),
    ).fetchone()
    if row[0] is None:
        if border > done:
            set_mark(db, MERGED, border)
        return 0
    day = row[0] - row[0] % DAY_MS
    set_mark(db, MERGED, day + DAY_MS)
    key = ", ".join(("hour_ms", *KEYS))
    values = {"after": day, "before": day + DAY_MS, "rows": rows - 1}
    later = "hour_ms > :after AND hour_ms < :before"
    last = db.execute(
        f"SELECT {key} FROM hours WHERE {later} ORDER BY {key} LIMIT 1 OFFSET :rows", values
    ).fetchone()
    if last is not None:
        later += f" AND ({key}) <= ({', '.join(f':k{n}' for n in range(len(last)))})"
        values |= {f"k{n}": value for n, value in enumerate(last)}
    moved = f"SELECT :after, {', '.join((*KEYS, *SUMS))} FROM hours WHERE {later}"
    db.execute(upsert("hours", "hour_ms", moved), values)
    return db.execute(f"DELETE FROM hours WHERE {later}", values).rowcount


def _rows(
    db: Database,
    named: Sequence[str],
    since_ms: int | None,
    until_ms: int | None,
    zone: tzinfo | None,
    *,
    wanted: Sequence[str] = SUMS,
) -> Iterator[tuple[int, tuple[str, ...], Sums]]:
    """Slot of time (0 without a zone), names, sums."""
    columns = [_COLUMNS[key] for key in named]
    labels: dict[int | None, str] = {None: "", 0: ""}
    since = since_ms or 0
    found = (
        parts(db, since, until_ms, by_records_until=_coarse_until(db, since, until_ms, zone))
        if all(key in ROLLED for key in named)
        else [Part("records", since, _FOREVER if until_ms is None else until_ms)]
    )
    for part in found:
        for slot, ids, sums in _added(db, part, columns, slots=zone is not None, wanted=wanted):
            for number in ids:
                if number not in labels:
                    row = db.execute("SELECT name FROM labels WHERE id = ?", (number,)).fetchone()
                    labels[number] = row[0] if row is not None else ""
            yield slot, tuple(labels[number] for number in ids), sums


def _coarse_until(db: Database, since_ms: int, until_ms: int | None, zone: tzinfo | None) -> int:
    """Up to when sums are too coarse for the zone's days: 0 for never."""
    if zone is None:
        return 0
    row = db.execute("SELECT min(hour_ms) FROM hours").fetchone()
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    first = min(max(since_ms, row[0] or 0), now_ms)  # not 1970: zones were odder then
    seen = (*range(first, now_ms, _SEASON_MS), now_ms)
    moments = (datetime.fromtimestamp(time_ms / 1000, zone) for time_ms in seen)
    offsets = [int(offset.total_seconds()) for t in moments if (offset := t.utcoffset())]
    if any(offset % 3600 for offset in offsets):
        return _FOREVER if until_ms is None else until_ms
    return mark(db, MERGED) if any(offsets) else 0


def _reach_ms(db: Database, since_ms: int) -> int:
    """The first hour of which every record is there."""
    row = db.execute("SELECT min(id) FROM records").fetchone()
    if row[0] is None:
        return _FOREVER
    purged = db.execute("SELECT 1 FROM closings LIMIT 1").fetchone() is not None
    if not purged:
        return since_ms
    oldest = id_time_ms(row[0]) + 1
    return _up(oldest, DAY_MS if oldest < mark(db, MERGED) else HOUR_MS)


def _added(
    db: Database,
    part: Part,
    columns: Sequence[str] = (),
    *,
    slots: bool = False,
    where: str = "true",
    wanted: Sequence[str] = SUMS,
) -> Iterator[tuple[int, tuple[int | None, ...], Sums]]:
    """Slot, ids and sums of a part, added up by the columns."""
    of_records = part.table == "records"
    time = "id" if of_records else "hour_ms"
    since, until = (
        (first_id(part.since_ms), _id_at(part.until_ms))
        if of_records
        else (part.since_ms, part.until_ms)
    )
    slot = f"(id >> {ID_SHIFT}) / {_SLOT_MS} * {_SLOT_MS}" if of_records else time
    keys = [slot if slots else "0", *columns]
    rows = db.execute(
        f"SELECT {', '.join(keys)}, {sums_sql(part.table, wanted)} FROM {part.table}"
        f" WHERE {time} >= ? AND {time} < ? AND {where}"
        f" GROUP BY {', '.join(str(n + 1) for n in range(len(keys)))}",
        (since, until),
    )
    for row in rows:
        slot_ms, *ids = row[: len(keys)]
        yield slot_ms, tuple(ids), sums_of(row[len(keys) :], wanted)


def sums_sql(table: str, columns: Sequence[str] = SUMS) -> str:
    """SQL: sums over some rows of `records`, `hours` or `closings`, for `sums_of`.

    Other than counts, each comes in two halves, since two absurd numbers are more than SQLite adds.
    """
    wanted: list[str] = []
    for column in columns:
        value = summed(column, "") if table == "records" else column
        halves = (value,) if column in COUNTS else (f"({value}) >> 32", f"({value}) & 4294967295")
        wanted += [f"coalesce(sum({half}), 0)" for half in halves]
    return ", ".join(wanted)


def sums_of(values: Sequence[int], columns: Sequence[str] = SUMS) -> Sums:
    """Of the columns that `sums_sql` selects."""
    found = iter(values)
    whole = {c: next(found) if c in COUNTS else (next(found) << 32) + next(found) for c in columns}
    return Sums(**whole)


def _id_at(time_ms: int) -> int:
    return _FOREVER if time_ms >= _FOREVER >> ID_SHIFT else first_id(time_ms)


def _up(time_ms: int, unit: int) -> int:
    return -(-time_ms // unit) * unit
