"""What the ledger is asked, on read-only connections, while gateways go on writing.

By time, and by time with one user, token, model, channel or status, an index answers at once.
Whatever else is asked, records are looked at block by block, and `progress` hears how far.
Everything here blocks and raises `StoreError` where the file is missing or not ours.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias, TypedDict, Unpack

from sqlite_utils import Database

from oneapi.errors import UsageError
from oneapi.ledger.base import Revision
from oneapi.ledger.filters import Conditions, Filter, conditions
from oneapi.ledger.opening import reading
from oneapi.ledger.record import id_time_ms

JSON = Any
Row: TypeAlias = dict[str, JSON]
"""A record with its names, as the view `log` has it."""
Progress: TypeAlias = Callable[[int, int], None]
"""Told after each block of a slow search: the Unix millisecond it came to, and how many records it
has looked at."""

EVERYTHING: Final = Filter()
_PAGE: Final = 1_000
_BLOCK: Final = 20_000
_FIRST_BLOCK: Final = 1_000
_POLL_S: Final = 0.2
_FOREVER: Final = 2**63 - 1


class Asked(TypedDict, total=False):
    """The common parts of a `Filter`, as keywords."""

    since_ms: int | None
    until_ms: int | None
    user: str | None
    token: str | None
    model: str | None
    channel: str | None
    status: int | None


def records(
    path: Path,
    where: Filter = EVERYTHING,
    *,
    limit: int | None = 50,
    after_id: int | None = None,
    newest_first: bool = True,
    progress: Progress | None = None,
    **asked: Unpack[Asked],
) -> Iterator[Row]:
    """Records by the time of their arrival, names in the place of numbers.

    `after_id` is the last id of the page before; `limit` None gives all. The database is read in
    short transactions, so that a slow reader does not keep the write-ahead log from shrinking.
    """
    wanted = replace(where, **asked)
    left = limit if limit is not None else _FOREVER
    with reading(path) as db:
        search = _Search(db, wanted, after_id, newest_first=newest_first, progress=progress)
        while left > 0 and (ids := search.next(min(left, _PAGE))):
            left -= len(ids)
            yield from _fetched(db, ids, newest_first=newest_first)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, the newest first, and the cursors of the pages beside it, "" where there is none."""

    rows: list[Row]
    older: str
    newer: str


def page(
    path: Path,
    where: Filter = EVERYTHING,
    *,
    cursor: str = "",
    limit: int = 50,
    progress: Progress | None = None,
) -> Page:
    """One page: the newest, or the one that another page's cursor names.

    Raises `UsageError` for a cursor that is none.
    """
    older, edge = _read_cursor(cursor)
    with reading(path) as db:
        search = _Search(db, where, edge, newest_first=older, progress=progress)
        ids = search.next(limit + 1)
        more, ids = len(ids) > limit, ids[:limit]
        rows = list(_fetched(db, ids, newest_first=True))
    if not rows:
        return Page([], "", "")
    further = f"<{rows[-1]['id']:x}" if more or not older else ""
    back = f">{rows[0]['id']:x}" if (older and cursor) or (not older and more) else ""
    return Page(rows, further, back)


def count(path: Path, where: Filter = EVERYTHING) -> int:
    """How many records there are of that kind. Of an index's a million take some 30 ms."""
    with reading(path) as db:
        made = conditions(db, where)
        if made.impossible:
            return 0
        since, until = where.bounds
        bounds = [] if (since, until) == EVERYTHING.bounds else ["r.id >= :since", "r.id < :until"]
        values = {**made.values, "since": since, "until": until}
        return sum(
            int(
                db.execute(
                    f"SELECT count(*) FROM records r WHERE {' AND '.join([*bounds, condition])}",
                    values,
                ).fetchone()[0]
            )
            for condition in made.alternatives()
        )


def follow(
    path: Path,
    where: Filter = EVERYTHING,
    *,
    backlog: int = 0,
    poll_s: float = _POLL_S,
    stopped: Callable[[], bool] = lambda: False,
    **asked: Unpack[Asked],
) -> Iterator[Row]:
    """The last `backlog` records, then new ones as they are committed, until `stopped` says so.

    In the order of their commits, none left out and none twice. Whoever reads so slowly that
    `tail` has forgotten (50,000 records) goes on with the oldest it still holds.
    """
    wanted = replace(where, **asked)
    with reading(path) as db:
        version = _data_version(db)
        seq = _last_seq(db)
        old = (
            "SELECT * FROM (SELECT t.seq, t.record_id AS rid FROM tail t JOIN records r"
            " ON r.id = t.record_id WHERE t.seq <= :seq AND {where}"
            " ORDER BY t.seq DESC LIMIT :backlog) o JOIN log ON log.id = o.rid ORDER BY o.seq"
        )
        yield from _tailed(db, old, wanted, {"seq": seq, "backlog": backlog})
        while not stopped():
            last = min(_last_seq(db), seq + _PAGE)
            yield from _tailed(db, _NEW, wanted, {"seq": seq, "last": last})
            behind = last == seq + _PAGE
            seq = last
            while not behind and _data_version(db) == version and not stopped():
                time.sleep(poll_s)
            version = _data_version(db)  # before the next look, so that no commit falls between


_NEW: Final = (
    "SELECT t.seq, log.* FROM tail t JOIN records r ON r.id = t.record_id"
    " JOIN log ON log.id = r.id WHERE t.seq > :seq AND t.seq <= :last AND {where} ORDER BY t.seq"
)


def _tailed(db: Database, sql: str, wanted: Filter, values: Row) -> list[Row]:
    made = conditions(db, wanted)  # each time: a name may be new
    since, until = wanted.bounds
    where = f"r.id >= {since} AND r.id < {until} AND {made.every}"
    rows = list(db.query(sql.format(where=where), {**made.values, **values}))
    return [_shown(row) for row in rows]


def revisions(path: Path, *, limit: int) -> list[Revision]:
    """The last configurations, newest first."""
    with reading(path) as db:
        rows = db.query(
            "SELECT revision, time_ms, outcome, origin, text FROM revisions"
            " ORDER BY id DESC LIMIT ?",
            [limit],
        )
        return [Revision(**found) for found in rows]


def insert_revision(db: Database, *, kept: Revision, keep: int) -> None:
    """Add a configuration and forget the oldest, within the caller's transaction."""
    columns = ("revision", "time_ms", "outcome", "origin", "text")
    db.table("revisions").insert({column: getattr(kept, column) for column in columns})
    db.execute(
        "DELETE FROM revisions WHERE id NOT IN (SELECT id FROM revisions ORDER BY id DESC LIMIT ?)",
        (max(keep, 1),),
    )


class _Search:
    """Ids of records that fit, page by page in the order of time."""

    def __init__(
        self,
        db: Database,
        wanted: Filter,
        after: int | None,
        *,
        newest_first: bool,
        progress: Progress | None,
    ) -> None:
        self._db = db
        self._made: Conditions = conditions(db, wanted)
        since, until = wanted.bounds
        self._newest_first = newest_first
        # What is still to be looked at: since <= id < until
        self._since = since if newest_first or after is None else max(since, after + 1)
        self._until = until if not newest_first or after is None else min(until, after)
        self._block = _FIRST_BLOCK
        self._looked = 0
        self._progress = progress

    def next(self, most: int) -> list[int]:
        """The next ids, `most` unless there are no more."""
        found: list[int] = []
        while len(found) < most and self._since < self._until and not self._made.impossible:
            found += self._look(most - len(found))
        return found

    def _look(self, most: int) -> list[int]:
        """One block: the ids of it that fit. The bounds move behind it, or behind the last id that
        is returned.
        """
        slow = bool(self._made.rest)
        size = self._block if slow else most
        self._block = min(self._block * 4, _BLOCK)
        found: list[int] = []
        reached: list[int] = []
        for driver in self._made.drivers or ("true",):
            last, looked, ids = self._block_of(driver, size)
            self._looked += looked
            found += ids
            if looked == size and last is not None:
                reached.append(last)
        # Where several indexes answer, only what lies before the nearest of their ends is known.
        if self._newest_first:
            edge = max(reached, default=self._since)
            found = sorted((n for n in found if n >= edge), reverse=True)[: most + 1]
        else:
            edge = min(reached, default=self._until - 1)
            found = sorted(n for n in found if n <= edge)[: most + 1]
        if len(found) > most:
            found.pop()
            edge = found[-1]
        if self._newest_first:
            self._until = edge
        else:
            self._since = edge + 1
        if slow and self._progress is not None:
            self._progress(id_time_ms(edge), self._looked)
        return found

    def _block_of(self, driver: str, size: int) -> tuple[int | None, int, list[int]]:
        """The last id of a block, how many records it has, and which of them fit."""
        order, last = ("DESC", "min") if self._newest_first else ("ASC", "max")
        fits = " AND ".join(self._made.rest) or "true"
        sql = (
            f"SELECT {last}(id), count(*), json_group_array(id) FILTER (WHERE fits) FROM"
            f" (SELECT r.id, ({fits}) AS fits FROM records r"
            f" WHERE {driver} AND r.id >= :since AND r.id < :until ORDER BY r.id {order}"
            " LIMIT :size)"
        )
        values = {"since": self._since, "until": self._until, "size": size, **self._made.values}
        edge, looked, ids = self._db.execute(sql, values).fetchone()
        return edge, looked, json.loads(ids)


def _fetched(db: Database, ids: list[int], *, newest_first: bool) -> Iterator[Row]:
    order = "DESC" if newest_first else "ASC"
    sql = f"SELECT * FROM log WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id {order}"
    for found in list(db.query(sql, [json.dumps(ids)])):
        yield _shown(found)


def _read_cursor(cursor: str) -> tuple[bool, int | None]:
    """Whether it goes to older records, and from which id."""
    if not cursor:
        return True, None
    try:
        edge = int(cursor[1:], 16)
    except ValueError:
        edge = -1
    if cursor[0] not in "<>" or not 0 <= edge <= _FOREVER:
        raise UsageError(f"{cursor!r} is no page's cursor")
    return cursor[0] == "<", edge


def _shown(found: dict[str, JSON]) -> dict[str, JSON]:
    """A row of `log` for people and programs: without our helpers, with short IPv6 addresses."""
    for helper in ("seq", "rid"):
        found.pop(helper, None)
    found["stream"] = bool(found["stream"])
    if ":" in found["client"]:
        with contextlib.suppress(OSError):
            packed = socket.inet_pton(socket.AF_INET6, found["client"])
            found["client"] = socket.inet_ntop(socket.AF_INET6, packed)
    return found


def _last_seq(db: Database) -> int:
    last: int | None = db.execute("SELECT max(seq) FROM tail").fetchone()[0]
    return last or 0


def _data_version(db: Database) -> int:
    version: int = db.execute("PRAGMA data_version").fetchone()[0]
    return version
