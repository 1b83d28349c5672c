"""Tables of the log beside the records: prices, indexes, sums by the hour, closing entries.

    hours       what was used by hour (UTC), user, token, group, asked model and channel; written
                by a trigger in the record's own transaction, kept for ever: purging records takes
                nothing from it, so it alone tells what was used in all. Of old hours a whole day
                is added up (`rollups.merge`): the day's row then stands at its first hour.
    closings    what purged records had used, by day (UTC) and the same names: whatever the time,
                records + closings = hours
    log_marks   how far merging and purging have come, Unix ms by name

A name that a record does not have is the number 0 here. Sums have the same columns in both tables.
"""

from __future__ import annotations

from typing import Final

from sqlite_utils import Database

from oneapi.ir import USAGE_BUCKETS

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
ID_SHIFT: Final = 20  # as `record.ID_SHIFT`: an id begins with its Unix millisecond
INDEXED: Final = ("user_id", "token_id", "model_id", "channel_id")
"""Columns of `records` with an index of their own: SQLite's also hold the id, so each is an index
by that column and time."""
USUAL: Final = 200
"""The status whose records have no entry in the index by status: they are found by time alone, and
each entry costs a record some 18 bytes and a page to write."""
KEYS: Final = ("user_id", "token_id", "group_id", "model_id", "channel_id")
"""What sums are kept by, beside the time."""

MOST: Final = 10**15
"""Tokens or milliseconds of one record above it are nonsense and are cut to it."""
_MAX: Final = 2**63 - 1
_INPUT = " + ".join(f"{{r}}{bucket}" for bucket in USAGE_BUCKETS[: USAGE_BUCKETS.index("output")])
_SUMMED: Final = {
    "requests": "1",
    "attempted": "({r}attempts > 0)",
    "errors": "({r}status >= 400)",
    "unpriced": "({r}cost_nanousd IS NULL)",
    "cost_nanousd": f"min(max(coalesce({{r}}cost_nanousd, 0), 0), {_MAX})",
    "input_tokens": _INPUT,
    "output_tokens": "{r}output + {r}reasoning + {r}audio_out",
    "cached_tokens": "{r}cache_read",
    "cached_tenths": "({r}cache_read + 9) / 10",
    "total_ms": "{r}total_ms",
    "ttft_ms": "coalesce({r}ttft_ms, 0)",
    "answered": "({r}ttft_ms IS NOT NULL)",
}
COUNTS: Final = frozenset({"requests", "attempted", "errors", "unpriced", "answered"})
"""Columns to which a record adds 1 at most."""
SUMS: Final = tuple(_SUMMED)
"""Columns of sums. `attempted` requests are those that some provider was asked for, which limits
count; `errors` have a status of 400 and above. `cached_tenths` is a tenth of each record's cached
tokens, rounded up: tokens as `billable` counts them are input + output - cached + tenths. `ttft_ms`
is over the `answered`.
"""


def summed(column: str, record: str) -> str:
    """SQL: what a record adds to a sum. `record` is its alias and a dot, or `new.`."""
    expression = _SUMMED[column].format(r=record)
    return (
        expression
        if column in COUNTS or column == "cost_nanousd"
        else f"min(max({expression}, 0), {MOST})"
    )


def hour_of(record: str) -> str:
    """SQL: the Unix millisecond at which the hour of a record's arrival began."""
    return f"({record}id >> {ID_SHIFT}) / {HOUR_MS} * {HOUR_MS}"


def upsert(table: str, time: str, values: str) -> str:
    """SQL that adds sums to a row of `hours` or `closings`. A sum that would overflow stays at the
    most that fits: SQLite would make it a float.
    """
    key = ", ".join((time, *KEYS))
    added = ", ".join(f"{c} = min({_MAX}, {table}.{c} + excluded.{c})" for c in SUMS)
    return (
        f"INSERT INTO {table} ({key}, {', '.join(SUMS)}) {values}"
        f" ON CONFLICT ({key}) DO UPDATE SET {added}"
    )


def create(db: Database) -> None:
    """Within the migration's transaction. What is recorded already is added up."""
    db.table("price_rules").create({"id": int, "body": str}, pk="id", not_null={"body"})
    for column in INDEXED:
        db.table("records").create_index([column])
    db.execute(f"CREATE INDEX idx_records_status ON records (status) WHERE status <> {USUAL}")
    _create_sums(db, "hours", "hour_ms")
    _create_sums(db, "closings", "day_ms")
    db.execute(
        "CREATE TABLE log_marks (name TEXT PRIMARY KEY, time_ms INTEGER NOT NULL) WITHOUT ROWID"
    )
    own = ", ".join(f"coalesce(new.{key}, 0)" for key in KEYS)
    values = ", ".join(summed(column, "new.") for column in SUMS)
    db.execute(
        "CREATE TRIGGER records_hours AFTER INSERT ON records BEGIN "
        + upsert("hours", "hour_ms", f"VALUES ({hour_of('new.')}, {own}, {values})")
        + "; END"
    )
    _add_up(db)


def _create_sums(db: Database, table: str, time: str) -> None:
    columns = ", ".join(f"{c} INTEGER NOT NULL" for c in (time, *KEYS, *SUMS))
    db.execute(
        f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({time}, {', '.join(KEYS)})) WITHOUT ROWID"
    )


def _add_up(db: Database) -> None:
    """The records of an older version, once."""
    keys = ", ".join(f"coalesce(r.{key}, 0)" for key in KEYS)
    values = ", ".join(summed(column, "r.") for column in SUMS)
    # WHERE true: without it SQLite takes ON CONFLICT for a join's ON.
    every = f"SELECT {hour_of('r.')}, {keys}, {values} FROM records r WHERE true"
    db.execute(upsert("hours", "hour_ms", every))
