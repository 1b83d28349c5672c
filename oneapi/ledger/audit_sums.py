"""What accounts have spent and were credited, computed again: for `audit`, within one moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlite_utils import Database

from oneapi.ledger import charging, rollups, spending
from oneapi.ledger.accounts import Scope
from oneapi.ledger.rollups import Sums
from oneapi.ledger.spending import Kept


@dataclass(frozen=True, slots=True)
class Check:
    """One sum as it is stored and as it must be; `words` say what is wrong where they differ.
    `computed` is None where the records that would tell are purged: sums by the hour know none of
    a period that begins or ends within one.
    """

    subject: str
    words: str
    stored: int
    computed: int | None


@dataclass(slots=True)
class _Used:
    """What names have used in a stretch of time, added up once for all of a scope."""

    db: Database
    same_as: dict[int, int] = field(default_factory=dict)
    _known: dict[tuple[Scope, int, int | None], dict[int, Sums]] = field(default_factory=dict)

    def of(self, scope: Scope, since_ms: int, until_ms: int | None) -> dict[int, Sums]:
        key = (scope, since_ms, until_ms)
        if key not in self._known:
            whole: dict[int, Sums] = {}
            found = rollups.each(self.db, scope, since_ms=since_ms, until_ms=until_ms)
            for number, sums in found.items():
                whole.setdefault(self.same_as.get(number, number), Sums()).add(sums)
            self._known[key] = whole
        return self._known[key]


def spend(db: Database) -> Iterator[Check]:
    """Every account's sums, those included that a process has not written yet."""
    known = charging.index(db)
    pending = charging.Added()
    for number, synced in db.execute("SELECT id, synced_seq FROM processes").fetchall():
        _join(pending, charging.charged(known, charging.own_rows(db, number, synced), synced))
    used = _Used(db, dict(known.same_as))
    unwritten: dict[tuple[str, int], int] = {}
    for (scope, name_id), amount in pending.totals.items():
        key = (scope, used.same_as.get(name_id, name_id))
        unwritten[key] = unwritten.get(key, 0) + amount
    for kept in spending.all_kept(db):
        stored = dict(
            db.execute("SELECT bucket, used FROM spend WHERE budget_id = ?", (kept.id,)).fetchall()
        )
        if spending.always(kept.account):
            more = unwritten.pop((kept.account.scope, kept.name_id), 0)
            yield _checked(kept, used, 0, stored.get(0, 0) + more)
            continue
        for (budget_id, bucket), amount in pending.bounded.items():
            if budget_id == kept.id:
                stored[bucket] = stored.get(bucket, 0) + amount
        now = kept.account.period.bucket(time.time_ns() // 1_000_000, kept.zone)
        for bucket in sorted(stored.keys() | {now}):
            if bucket >= kept.since_ms:
                yield _checked(kept, used, bucket, stored.get(bucket, 0))


def _join(pending: charging.Added, more: charging.Added) -> None:
    for key, amount in more.bounded.items():
        pending.bounded[key] = pending.bounded.get(key, 0) + amount
    for name, amount in more.totals.items():
        pending.totals[name] = pending.totals.get(name, 0) + amount


def _checked(kept: Kept, used: _Used, bucket: int, stored: int) -> Check:
    account, period = kept.account, kept.account.period
    if period.kind == "total":
        until = None
    elif period.kind == "rolling":
        until = bucket + period.granule_ms
    else:
        until = period.ends(bucket, kept.zone)
    computed = None
    if rollups.whole(used.db, bucket, until):
        sums = used.of(account.scope, bucket, until).get(kept.name_id, Sums())
        computed = min(sums.amount(account), spending.MOST)
    begins = (
        f" since {datetime.fromtimestamp(bucket / 1000, UTC):%Y-%m-%dT%H:%MZ}" if bucket else ""
    )
    return Check(
        f"{account.scope} {account.name} {account.unit} {period.key}{begins}",
        "what it has spent is not what its records add up to",
        stored,
        computed,
    )


def credits(db: Database) -> Iterator[Check]:
    """Every user's credit against the entries of the user's book."""
    rows = db.execute(
        "SELECT n.id, n.name, coalesce(b.credit, 0), coalesce(e.amount, 0) FROM names n"
        " LEFT JOIN (SELECT name_id, sum(credit) AS credit FROM budgets WHERE scope = 'user'"
        " AND credit <> 0 GROUP BY name_id) b ON b.name_id = n.id"
        " LEFT JOIN (SELECT coalesce(m.same_as, m.id) AS name_id, sum(e.amount_nanousd) AS amount"
        " FROM entries e JOIN names m ON m.id = e.user_id GROUP BY 1) e ON e.name_id = n.id"
        " WHERE n.kind = 'user' AND n.same_as IS NULL"
        " AND (b.credit IS NOT NULL OR e.amount IS NOT NULL)"
    )
    words = "its credit is not the sum of the book's entries"
    for _, name, stored, computed in rows.fetchall():
        yield Check(f"user {name}", words, stored, computed)
