"""What accounts have spent: the sums that bound them, made from the records, checked against them.

The functions that take a database run in the caller's transaction. All sums are in the account's
unit and stay at `MOST` where they would not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlite_utils import Database

from oneapi.ledger import rollups
from oneapi.ledger.accounts import TOTAL, Account, Period, Scope
from oneapi.ledger.names import number, numbers
from oneapi.ledger.opening import reading
from oneapi.ledger.tables_limits import KEPT

MOST: Final = 2**63 - 1
TIGHT_MS: Final = 10_000
"""How long an account counts as short after a hold on it failed."""
UNSEEN_MS: Final = 40 * 86_400_000
"""After so long without being asked for, a bounded account is no longer summed up."""
SEEN_MS: Final = 86_400_000
"""How often it is written down that it was."""

_COLUMNS = "b.id, b.period, b.counting, b.zone, b.since_ms, b.credit, b.short_ms, b.seen_ms"


@dataclass(frozen=True, slots=True)
class Kept:
    """An account as the ledger keeps it. Sums of buckets before `since_ms` are not whole."""

    id: int
    account: Account
    name_id: int
    zone: tzinfo
    since_ms: int
    credit: int
    short_ms: int
    seen_ms: int


def zone_key(period: Period, zone: tzinfo) -> str:
    """How a zone is written down; "" where the period begins nowhere in particular.

    Raises `ValueError` for a zone without a name.
    """
    if period.kind in ("total", "rolling"):
        return ""
    key = "UTC" if zone is UTC else getattr(zone, "key", None)
    if not key:
        raise ValueError(f"{zone} has no name; give a `ZoneInfo`")
    return str(key)


def zone_of(key: str) -> tzinfo:
    """The zone that was written as `key`."""
    return UTC if key in ("", "UTC") else ZoneInfo(key)


def always(account: Account) -> bool:
    """Whether the account is summed up for everyone, limit or not."""
    return account.scope in KEPT and account.unit == "nanousd" and account.period == TOTAL


def find(db: Database, account: Account, zone: tzinfo) -> Kept | None:
    """The account's row, if there is one."""
    name_id = number(db, account.scope, account.name)
    return _found(db, account, name_id, zone) if name_id is not None else None


def open_account(db: Database, account: Account, zone: tzinfo, now_ms: int) -> tuple[Kept, bool]:
    """The account's row, and whether it was made: then its sums come from the records."""
    name_id = _named(db, account)
    found = _found(db, account, name_id, zone)
    if found is not None:
        if found.seen_ms < now_ms - SEEN_MS:
            db.execute("UPDATE budgets SET seen_ms = ? WHERE id = ?", (now_ms, found.id))
        return found, False
    # A total that is always kept and has no row yet has no record whose writer will not add it.
    kept = always(account)
    since = 0 if kept else account.period.since(now_ms, zone)
    row = db.execute(
        "INSERT INTO budgets (scope, name_id, unit, period, counting, zone, bounded, since_ms,"
        " init_seq, seen_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?,"
        " (SELECT coalesce(max(seq), 0) FROM tail), ?) RETURNING id",
        (account.scope, name_id, account.unit, account.period.key, account.counting,
         zone_key(account.period, zone), int(not kept), since, now_ms),
    ).fetchone()  # fmt: skip
    made = Kept(row[0], account, name_id, zone, since, 0, 0, now_ms)
    if not kept:
        for bucket, used in counted(db, made, now_ms):
            add(db, made.id, bucket, used)
        changed(db)
    return made, True


def add(db: Database, budget_id: int, bucket: int, amount: int) -> None:
    """Add to a sum."""
    if amount:
        db.execute(
            "INSERT INTO spend (budget_id, bucket, used) VALUES (?, ?, ?) ON CONFLICT"
            f" (budget_id, bucket) DO UPDATE SET used = min({MOST}, used + excluded.used)",
            (budget_id, bucket, min(amount, MOST)),
        )


def changed(db: Database) -> None:
    """Tell all processes that bounded accounts, or the names they belong to, are not the same."""
    db.execute(
        "INSERT INTO budget_marks (name, value) VALUES ('budgets', 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1"
    )


def used(db: Database, budget_id: int, period: Period, since_ms: int) -> int:
    """What counts against a request that belongs to the period beginning at `since_ms`.

    Of calendar periods the fullest, where a later one has begun: what is leased may be spent in
    either.
    """
    how = "sum" if period.kind == "rolling" else "max"
    row = db.execute(
        f"SELECT {how}(used) FROM spend WHERE budget_id = ? AND bucket >= ?", (budget_id, since_ms)
    ).fetchone()
    return int(row[0] or 0)


def frees_ms(db: Database, kept: Kept, since_ms: int, lacking: int, arrived_ms: int) -> int:
    """When so much of a full account will be free by the passing of time, for a request that
    arrived then; 0 for never.
    """
    period = kept.account.period
    if period.kind != "rolling":
        return period.ends(arrived_ms, kept.zone)
    rows = db.execute(
        "SELECT bucket, used FROM spend WHERE budget_id = ? AND bucket >= ? ORDER BY bucket",
        (kept.id, since_ms),
    )
    for bucket, amount in rows.fetchall():
        lacking -= amount
        if lacking <= 0:
            return int(period.ends(bucket, kept.zone))
    return period.ends(arrived_ms, kept.zone)


def add_credit(db: Database, user: str, nanousd: int, now_ms: int) -> None:
    """Raise, or with a negative amount lower, what a user may spend beyond his grant.

    For whoever writes an entry in the user's book, in the same transaction. A process learns of
    it when it next asks for more; of less at once, since the account then counts as short.
    """
    kept, _ = open_account(db, Account("user", user, "nanousd"), UTC, now_ms)
    short_ms = now_ms if nanousd < 0 else kept.short_ms
    db.execute(
        "UPDATE budgets SET credit = credit + ?, short_ms = ? WHERE id = ?",
        (nanousd, short_ms, kept.id),
    )


def counted(db: Database, kept: Kept, now_ms: int) -> Iterator[tuple[int, int]]:
    """What the records say of the buckets that count now: bucket, sum."""
    ids = numbers(db, kept.name_id)
    period = kept.account.period
    start = max(period.since(now_ms, kept.zone), kept.since_ms)
    if period.kind != "rolling":
        yield start, _sum(db, kept.account, ids, start, None)
        return
    while start <= now_ms:
        yield start, _sum(db, kept.account, ids, start, start + period.granule_ms)
        start += period.granule_ms


def _sum(
    db: Database, account: Account, ids: Sequence[int], since_ms: int, until_ms: int | None
) -> int:
    found = rollups.spent(db, account.scope, ids, since_ms=since_ms, until_ms=until_ms)
    return min(found.amount(account), MOST)


@dataclass(frozen=True, slots=True)
class Sum:
    """What an account has spent in one of its periods. `bucket` is when the period begins, Unix
    milliseconds, 0 for all time.
    """

    account: Account
    zone: str
    bucket: int
    used: int
    leased: int
    credit: int


def sums(
    path: Path, *, scope: Scope | None = None, names: Sequence[str] | None = None
) -> list[Sum]:
    """What accounts have spent, by account and period; settled within the last second or so may
    be missing. Blocks; raises `StoreError`.
    """
    found: list[Sum] = []
    with reading(path) as db:
        for row in _rows(db, scope):
            kept, name = row[0], row[1]
            if names is not None and name not in names:
                continue
            leased = _leased(db, kept.id)
            zone = zone_key(kept.account.period, kept.zone)
            for bucket, amount in _spend(db, kept.id) or [(kept.since_ms, 0)]:
                found.append(Sum(kept.account, zone, bucket, amount, leased, kept.credit))
    return found


def all_kept(db: Database, where: str = "", values: Sequence[Any] = ()) -> list[Kept]:
    """Accounts as they stand."""
    return [kept for kept, _ in _rows(db, None, where, values)]


def prune(db: Database, now_ms: int) -> None:
    """Forget accounts that nothing bounds any more, and parts of windows that have passed."""
    gone = db.execute(
        "SELECT id FROM budgets WHERE bounded = 1 AND seen_ms < ? AND credit = 0"
        " AND NOT EXISTS (SELECT 1 FROM leases WHERE budget_id = id)",
        (now_ms - UNSEEN_MS,),
    ).fetchall()
    for (budget_id,) in gone:
        drop(db, budget_id)
    rolling = "SELECT id, period FROM budgets WHERE bounded = 1 AND period LIKE 'rolling:%'"
    for budget_id, key in db.execute(rolling).fetchall():
        before = now_ms - 3 * Period.from_key(key).seconds * 1000
        db.execute("DELETE FROM spend WHERE budget_id = ? AND bucket < ?", (budget_id, before))


def drop(db: Database, budget_id: int) -> None:
    """Forget an account's sums: when it is asked for again, they come from the records."""
    for table, column in (("leases", "budget_id"), ("spend", "budget_id"), ("budgets", "id")):
        db.execute(f"DELETE FROM {table} WHERE {column} = ?", (budget_id,))
    changed(db)


def merge(db: Database, old: int, into: int) -> None:
    """A name's number now stands for another's: their accounts become one."""
    rows = db.execute("SELECT id, bounded FROM budgets WHERE name_id IN (?, ?)", (old, into))
    for budget_id, bounded in rows.fetchall():
        if bounded:
            drop(db, budget_id)
    totals = db.execute(
        "SELECT id, scope, credit FROM budgets WHERE name_id = ? AND bounded = 0", (old,)
    ).fetchall()
    for budget_id, scope, credit in totals:
        kept = db.execute(
            "SELECT id FROM budgets WHERE name_id = ? AND bounded = 0 AND scope = ?", (into, scope)
        ).fetchone()
        if kept is None:
            db.execute("UPDATE budgets SET name_id = ? WHERE id = ?", (into, budget_id))
            continue
        for bucket, amount in _spend(db, budget_id):
            add(db, kept[0], bucket, amount)
        db.execute("UPDATE budgets SET credit = credit + ? WHERE id = ?", (credit, kept[0]))
        drop(db, budget_id)
    changed(db)


def _named(db: Database, account: Account) -> int:
    found = number(db, account.scope, account.name)
    if found is None:
        db.execute(
            "INSERT INTO names (kind, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (account.scope, account.name),
        )
        found = number(db, account.scope, account.name)
    assert found is not None, "it was inserted above"
    return found


def _found(db: Database, account: Account, name_id: int, zone: tzinfo) -> Kept | None:
    period = account.period
    row = db.execute(
        f"SELECT {_COLUMNS} FROM budgets b WHERE name_id = ? AND scope = ? AND unit = ?"
        " AND period = ? AND counting = ? AND zone = ?",
        (name_id, account.scope, account.unit, period.key, account.counting,
         zone_key(period, zone)),
    ).fetchone()  # fmt: skip
    if row is None:
        return None
    return Kept(row[0], account, name_id, zone, row[4], row[5], row[6], row[7])


def _rows(
    db: Database, scope: Scope | None, where: str = "", values: Sequence[Any] = ()
) -> list[tuple[Kept, str]]:
    rows = db.execute(
        f"SELECT {_COLUMNS}, b.scope, b.name_id, b.unit, n.name FROM budgets b"
        " JOIN names n ON n.id = b.name_id WHERE (? IS NULL OR b.scope = ?)"
        f"{where} ORDER BY b.id",
        (scope, scope, *values),
    ).fetchall()
    found: list[tuple[Kept, str]] = []
    for id_, key, counting, zone, since, credit, short, seen, of, name_id, unit, name in rows:
        account = Account(of, name, unit, Period.from_key(key), counting)
        kept = Kept(id_, account, name_id, zone_of(zone), since, credit, short, seen)
        found.append((kept, name))
    return found


def _spend(db: Database, budget_id: int) -> list[tuple[int, int]]:
    rows = db.execute(
        "SELECT bucket, used FROM spend WHERE budget_id = ? ORDER BY bucket", (budget_id,)
    )
    return [(bucket, amount) for bucket, amount in rows.fetchall()]


def _leased(db: Database, budget_id: int) -> int:
    row = db.execute(
        "SELECT coalesce(sum(amount), 0) FROM leases WHERE budget_id = ?", (budget_id,)
    ).fetchone()
    return int(row[0])
