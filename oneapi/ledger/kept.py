"""Responses on disk, for tokens whose policy has them kept: the rows, and what removes them.

Each function is the work of one transaction (`SqliteStore.transact`), but for the two that find.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sqlite_utils import Database

from oneapi.ledger.opening import reading
from oneapi.ledger.rows import storable

MOST = 10_000
"""Responses of one token on disk."""
MOST_BYTES = 1024 * 1024 * 1024
"""Their bytes together."""

Owner = tuple[str, str]
"""User and token."""
Work: TypeAlias = Callable[[Database], object]
"""What a transaction does."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One response that somebody may name again.

    `input` is the whole input of its request as a JSON array, its history included, `answer` the
    response object; both are empty where the provider stores them itself (`native`). `names` are
    ids inside the answer. `key` is the fingerprint of the channel's key that got it. `expires_ms`
    is 0 where it lives in memory alone.
    """

    id: str
    model: str
    channel: str
    time_ms: int
    native: bool
    input: bytes = b""
    answer: bytes = b""
    names: tuple[str, ...] = ()
    key: str = ""
    expires_ms: int = 0

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return 500 + len(self.input) + len(self.answer) + sum(60 + len(n) for n in self.names)


_COLUMNS = (
    "response_id, model, channel, time_ms, native, input, answer, names, channel_key, expires_ms"
)


def keep(db: Database, owner: Owner, kept: Kept) -> None:
    """Insert or replace it."""
    values = (
        *map(storable, owner),
        storable(kept.id),
        storable(kept.model),
        kept.channel,
        kept.time_ms,
        int(kept.native),
        kept.input,
        kept.answer,
        json.dumps(kept.names),
        kept.key,
        kept.expires_ms,
        kept.size,
    )
    remove(db, owner, kept.id)
    db.execute(
        f"INSERT INTO responses (user, token, {_COLUMNS}, size)"
        f" VALUES ({', '.join('?' * len(values))})",
        values,
    )
    db.conn.executemany(
        "INSERT INTO response_names (user, token, name, response_id) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (user, token, name) DO UPDATE SET response_id = excluded.response_id",
        [(*map(storable, owner), storable(name), storable(kept.id)) for name in set(kept.names)],
    )


def remove(db: Database, owner: Owner, response_id: str) -> bool:
    """Delete it; whether it was there."""
    whose = (*map(storable, owner), storable(response_id))
    db.execute("DELETE FROM response_names WHERE user = ? AND token = ? AND response_id = ?", whose)
    done = db.execute(
        "DELETE FROM responses WHERE user = ? AND token = ? AND response_id = ?", whose
    )
    return done.rowcount > 0


def purge(db: Database, now_ms: int, *, most: int = MOST, most_bytes: int = MOST_BYTES) -> int:
    """Delete what has expired, and the oldest of tokens that have more than is allowed."""
    ranked = (
        "SELECT user, token, response_id,"
        " row_number() OVER newest AS number, sum(size) OVER newest AS total FROM responses"
        " WINDOW newest AS (PARTITION BY user, token ORDER BY time_ms DESC, response_id)"
    )
    rows = db.execute(
        "SELECT user, token, response_id FROM responses WHERE expires_ms <= ?"
        f" UNION SELECT user, token, response_id FROM ({ranked}) AS ranked"
        " WHERE number > ? OR total > ?",
        (now_ms, most, most_bytes),
    ).fetchall()
    for user, token, response_id in rows:
        remove(db, (user, token), response_id)
    return len(rows)


def find(path: Path, owner: Owner, response_id: str, now_ms: int) -> Kept | None:
    """The response of that id, if it is this token's and has not expired. Raises `StoreError`."""
    with reading(path) as db:
        return _find(db, owner, response_id, now_ms)


def find_named(path: Path, owner: Owner, name: str, now_ms: int) -> Kept | None:
    """The response in which that id stands. Raises `StoreError`."""
    with reading(path) as db:
        row = db.execute(
            "SELECT response_id FROM response_names WHERE user = ? AND token = ? AND name = ?",
            (*map(storable, owner), storable(name)),
        ).fetchone()
        return None if row is None else _find(db, owner, row[0], now_ms)


def _find(db: Database, owner: Owner, response_id: str, now_ms: int) -> Kept | None:
    row = db.execute(
        f"SELECT {_COLUMNS} FROM responses"
        " WHERE user = ? AND token = ? AND response_id = ? AND expires_ms > ?",
        (*map(storable, owner), storable(response_id), now_ms),
    ).fetchone()
    if row is None:
        return None
    name, model, channel, time_ms, native, given, answer, names, key, expires_ms = row
    return Kept(
        id=name,
        model=model,
        channel=channel,
        time_ms=time_ms,
        native=bool(native),
        input=given,
        answer=answer,
        names=tuple(json.loads(names)),
        key=key,
        expires_ms=expires_ms,
    )
