"""What the ledger is asked, on read-only connections, while gateways go on writing.

`until_ms` is exclusive, `since_ms` inclusive, both Unix milliseconds of the requests' arrival.
Everything here blocks and raises `StoreError` where the file is missing or not ours.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from oneapi.errors import UsageError
from oneapi.ir import USAGE_BUCKETS
from oneapi.ledger.base import Revision
from oneapi.ledger.opening import reading
from oneapi.ledger.record import ID_SHIFT, first_id
from oneapi.ledger.schema import NAMED

JSON = Any

_DAY = f"strftime('%Y-%m-%d', (r.id >> {ID_SHIFT}) / 1000, 'unixepoch')"
USAGE_KEYS: Mapping[str, str] = {
    "day": _DAY,
    **{field: column for field, column, _ in NAMED if field not in ("revision", "usage_source")},
}
"""What usage can be added up by, and the column that holds it. Days are UTC."""

_IN = " + ".join(f"r.{b}" for b in USAGE_BUCKETS[: USAGE_BUCKETS.index("output")])
_OUT = "r.output + r.reasoning + r.audio_out"
_SUMS: Mapping[str, str] = {
    "requests": "count(*)",
    "errors": "sum(r.status >= 400)",
    "input_tokens": f"sum({_IN})",
    "output_tokens": f"sum({_OUT})",
    "cost_nanousd": "sum(coalesce(r.cost_nanousd, 0))",
    "unpriced": "sum(r.cost_nanousd IS NULL)",
}
_PAGE = 1_000
_POLL_S = 0.2


def records(
    path: Path,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    user: str | None = None,
    token: str | None = None,
    model: str | None = None,
    channel: str | None = None,
    status: int | None = None,
    limit: int | None = 50,
    after_id: int | None = None,
    newest_first: bool = True,
) -> Iterator[dict[str, JSON]]:
    """Records by the time of their arrival, names in the place of numbers.

    `after_id` is the last id of the page before; `limit` None gives all. The database is read in
    short transactions, so that a slow reader does not keep the write-ahead log from shrinking.
    """
    where, values = _where(
        since_ms, until_ms, status, user=user, token=token, model=model, channel=channel
    )
    order, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
    sql = (
        f"SELECT log.* FROM (SELECT r.id AS rid FROM records r WHERE {' AND '.join(where)}"
        f" AND r.id {beyond} :after ORDER BY r.id {order} LIMIT :page) p"
        f" JOIN log ON log.id = p.rid ORDER BY log.id {order}"
    )
    after = after_id if after_id is not None else (2**63 - 1 if newest_first else -1)
    left = limit if limit is not None else 2**63 - 1
    with reading(path) as db:
        while left > 0:
            page = min(left, _PAGE)
            rows = list(db.query(sql, {**values, "after": after, "page": page}))
            for found in rows:
                yield _shown(found)
            if len(rows) < page:
                return
            left -= page
            after = rows[-1]["id"]


def usage(
    path: Path,
    *,
    by: Sequence[str] = (),
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> list[dict[str, JSON]]:
    """Requests, errors (status 400 and above), tokens and cost, added up by the given keys.

    Keys are those of `USAGE_KEYS`; without any there is one row, the whole. `unpriced` counts the
    requests whose cost is not known. Raises `UsageError` for an unknown key.
    """
    for key in by:
        if key not in USAGE_KEYS:
            known = ", ".join(USAGE_KEYS)
            raise UsageError(f"usage cannot be added up by {key!r}; it can be by {known}")
    where, values = _where(since_ms, until_ms, None)
    # Numbers are added up first and named after, since two numbers can have one name (`was`).
    inner = [f'{USAGE_KEYS[key]} AS "{key}"' for key in by]
    inner += [f"{expression} AS {name}" for name, expression in _SUMS.items()]
    outer = [_named(key) for key in by] + [f"sum(s.{name}) AS {name}" for name in _SUMS]
    places = ", ".join(str(n + 1) for n in range(len(by)))
    grouping = f" GROUP BY {places}" if by else ""
    ordering = f" ORDER BY {places}" if by else ""
    sql = (
        f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM records r"
        f" WHERE {' AND '.join(where)}{grouping}) s{grouping}{ordering}"
    )
    with reading(path) as db:
        rows = list(db.query(sql, values))
    return [{key: 0 if value is None else value for key, value in found.items()} for found in rows]


def follow(
    path: Path,
    *,
    backlog: int = 0,
    user: str | None = None,
    token: str | None = None,
    model: str | None = None,
    channel: str | None = None,
    status: int | None = None,
    poll_s: float = _POLL_S,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[dict[str, JSON]]:
    """The last `backlog` records, then new ones as they are committed, until `stopped` says so.

    In the order of their commits, none left out and none twice. Whoever reads so slowly that
    `tail` has forgotten (50,000 records) goes on with the oldest it still holds.
    """
    where, values = _where(None, None, status, user=user, token=token, model=model, channel=channel)
    new = (
        "SELECT t.seq, log.* FROM tail t JOIN records r ON r.id = t.record_id"
        " JOIN log ON log.id = r.id WHERE t.seq > :seq AND t.seq <= :last"
        f" AND {' AND '.join(where)} ORDER BY t.seq"
    )
    with reading(path) as db:
        version = _data_version(db)
        seq = _last_seq(db)
        old = (
            "SELECT * FROM (SELECT t.seq, t.record_id FROM tail t JOIN records r"
            f" ON r.id = t.record_id WHERE t.seq <= :seq AND {' AND '.join(where)}"
            " ORDER BY t.seq DESC LIMIT :backlog) o JOIN log ON log.id = o.record_id ORDER BY o.seq"
        )
        for found in list(db.query(old, {**values, "seq": seq, "backlog": backlog})):
            yield _shown(found)
        while not stopped():
            last = min(_last_seq(db), seq + _PAGE)
            for found in list(db.query(new, {**values, "seq": seq, "last": last})):
                yield _shown(found)
            behind = last == seq + _PAGE
            seq = last
            while not behind and _data_version(db) == version and not stopped():
                time.sleep(poll_s)
            version = _data_version(db)  # before the next look, so that no commit falls between


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


def _where(
    since_ms: int | None, until_ms: int | None, status: int | None, **named: str | None
) -> tuple[list[str], dict[str, JSON]]:
    """Conditions on `records r`, and their values. A name means all numbers it is shown for."""
    where = ["r.id >= :since", "r.id < :until"]
    values: dict[str, JSON] = {
        "since": first_id(since_ms or 0),
        "until": 2**63 - 1 if until_ms is None else first_id(until_ms),
    }
    if status is not None:
        where.append("r.status = :status")
        values["status"] = status
    for field, column, kind in NAMED:
        name = named.get(field)
        if name is not None:
            ids = f"SELECT l.id FROM labels l WHERE l.kind = '{kind}' AND l.name = :{field}"
            where.append(f"r.{column} IN ({ids})")
            values[field] = name
    return where, values


def _named(key: str) -> str:
    if key == "day":
        return "s.day"
    return f'coalesce((SELECT l.name FROM labels l WHERE l.id = s."{key}"), \'\') AS "{key}"'


def _shown(found: dict[str, JSON]) -> dict[str, JSON]:
    """A row of `log` for people and programs: without our helpers, with short IPv6 addresses."""
    for helper in ("seq", "record_id", "rid"):
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
