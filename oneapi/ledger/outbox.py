"""Notices that are to be sent, and which thresholds were told: the ledger's side of warnings.

Functions that take a database run in the caller's transaction. A notice is written in the
transaction that marks its threshold, so that it is written once, whatever dies in between; it may
be sent twice, where a process dies before it writes down that it was. Times are Unix milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Final, Literal, TypeAlias

from sqlite_utils import Database

from oneapi.ledger import spending
from oneapi.ledger.accounts import Account, Budget
from oneapi.ledger.names import number
from oneapi.ledger.opening import reading

Way: TypeAlias = Literal["mail", "webhook", "pusher"]
Facts: TypeAlias = Mapping[str, str | int]

CLAIM_MS: Final = 120_000
"""A notice that a process took and did not finish in this time is anybody's again."""
KEEP_MS: Final = 30 * 86_400_000
"""How long notices are kept once they are sent or given up."""
TOLD_MS: Final = 800 * 86_400_000
"""How long it is remembered that a threshold of a period was told; of all time, for ever."""
_ERROR: Final = 500  # characters kept of what went wrong


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said, and to whom: `ways` are pairs of a way and an address, "" where it has none."""

    kind: str
    facts: Facts
    ways: Sequence[tuple[Way, str]]


@dataclass(frozen=True, slots=True)
class Crossing:
    """An account that has used a share of what bounds it. `crossed` are all thresholds that lie
    below, in percent; the notice is about the highest. `bucket` is its period's beginning.
    """

    account: Account
    bucket: int
    bound: int
    crossed: Sequence[int]
    notice: Notice


@dataclass(frozen=True, slots=True)
class Waiting:
    """One notice on one way. `attempts` counts the one for which it was taken."""

    id: int
    kind: str
    way: Way
    address: str
    facts: dict[str, str | int]
    created_ms: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Sent:
    """How a notice in the outbox stands: `state` is waiting, sent or failed."""

    id: int
    kind: str
    way: str
    address: str
    subject: str
    created_ms: int
    due_ms: int
    attempts: int
    error: str
    state: Literal["waiting", "sent", "failed"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of a budget is used, in its account's unit; `bound` has the account's credit."""

    budget: Budget
    used: int
    bound: int


def standings(
    path: Path, budgets: Iterable[Budget], *, zone: tzinfo, now_ms: int
) -> list[Standing]:
    """Where budgets stand in the ledger's sums, those of the last second or so not yet in them.

    Budgets that the ledger does not know yet are left out. Blocks; raises `StoreError`.
    """
    found: list[Standing] = []
    with reading(path) as db:
        for budget in budgets:
            kept = spending.find(db, budget.account, zone)
            if kept is None:
                continue
            since = budget.account.period.since(now_ms, zone)
            used = spending.used(db, kept.id, budget.account.period, since)
            bound = budget.limit + (kept.credit if budget.credited else 0)
            found.append(Standing(budget, used, bound))
    return found


def tell(db: Database, crossings: Iterable[Crossing], now_ms: int) -> int:
    """Mark what was crossed, and write the notices of what nobody has told yet; how many."""
    told = 0
    for crossing in crossings:
        new = [t for t in crossing.crossed if _mark(db, crossing, t, now_ms)]
        # A threshold that was added below one that was told already is no news.
        if new and max(new) == max(crossing.crossed):
            enqueue(db, crossing.notice, now_ms)
            told += 1
    return told


def enqueue(db: Database, notice: Notice, now_ms: int) -> None:
    """Write a notice down, to be sent at once."""
    facts = json.dumps(dict(notice.facts), ensure_ascii=False, separators=(",", ":"))
    for way, address in notice.ways:
        db.execute(
            "INSERT INTO outbox (kind, way, address, facts, created_ms, due_ms, attempts, error,"
            " claimed_by, claimed_ms, done_ms, given_up)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, '', '', 0, 0, 0)",
            (notice.kind, way, address, facts, now_ms, now_ms),
        )


def due(path: Path, now_ms: int) -> bool:
    """Whether there is something to send. Blocks; raises `StoreError`."""
    with reading(path) as db:
        row = db.execute(
            "SELECT 1 FROM outbox WHERE done_ms = 0 AND due_ms <= ? AND claimed_ms < ? LIMIT 1",
            (now_ms, now_ms - CLAIM_MS),
        ).fetchone()
    return row is not None


def claim(db: Database, who: str, now_ms: int, limit: int = 16) -> list[Waiting]:
    """Take what is due, oldest first, for one attempt each; nobody else gets it meanwhile."""
    rows = db.execute(
        "UPDATE outbox SET claimed_by = ?, claimed_ms = ?, attempts = attempts + 1"
        " WHERE id IN (SELECT id FROM outbox WHERE done_ms = 0 AND due_ms <= ? AND claimed_ms < ?"
        " ORDER BY due_ms, id LIMIT ?)"
        " RETURNING id, kind, way, address, facts, created_ms, attempts",
        (who, now_ms, now_ms, now_ms - CLAIM_MS, limit),
    ).fetchall()
    return [
        Waiting(id_, kind, way, address, json.loads(facts), created, attempts)
        for id_, kind, way, address, facts, created, attempts in sorted(rows)
    ]


def sent(db: Database, notice_id: int, now_ms: int) -> None:
    """It is delivered."""
    db.execute("UPDATE outbox SET done_ms = ?, error = '' WHERE id = ?", (now_ms, notice_id))


def failed(db: Database, notice_id: int, error: str, *, now_ms: int, again_ms: int | None) -> None:
    """An attempt failed; the next is due at `again_ms`, and none is made where that is None."""
    done, given_up = (now_ms, 1) if again_ms is None else (0, 0)
    db.execute(
        "UPDATE outbox SET error = ?, due_ms = ?, claimed_by = '', claimed_ms = 0, done_ms = ?,"
        " given_up = ? WHERE id = ?",
        (error[:_ERROR], again_ms or now_ms, done, given_up, notice_id),
    )


def last(path: Path, limit: int = 100) -> list[Sent]:
    """The last notices, newest first. Blocks; raises `StoreError`."""
    with reading(path) as db:
        rows = db.execute(
            "SELECT id, kind, way, address, facts, created_ms, due_ms, attempts, error, done_ms,"
            " given_up FROM outbox ORDER BY id DESC LIMIT ?",
            (limit,),
        ).fetchall()
    found: list[Sent] = []
    for id_, kind, way, address, facts, created, due_, attempts, error, done, given_up in rows:
        subject = str(json.loads(facts).get("subject", ""))
        state: Literal["waiting", "sent", "failed"] = "sent" if done else "waiting"
        if given_up:
            state = "failed"
        found.append(Sent(id_, kind, way, address, subject, created, due_, attempts, error, state))
    return found


def forget(db: Database, user: str, email: str | None) -> None:
    """Take out what is about somebody who is deleted, or was to go to them."""
    db.execute(
        "DELETE FROM outbox WHERE json_extract(facts, '$.user') = ?"
        " OR (way = 'mail' AND address = ?)",
        (user, email),
    )


def prune(db: Database, now_ms: int) -> None:
    """Forget what is long done and long past."""
    db.execute("DELETE FROM outbox WHERE done_ms > 0 AND done_ms < ?", (now_ms - KEEP_MS,))
    db.execute("DELETE FROM alerted WHERE bucket > 0 AND time_ms < ?", (now_ms - TOLD_MS,))


def _mark(db: Database, crossing: Crossing, threshold: int, now_ms: int) -> bool:
    """Whether this is the first time that it is marked."""
    account = crossing.account
    name_id = number(db, account.scope, account.name)
    if name_id is None:
        return False  # nothing was ever recorded of it
    key = f"{account.unit}:{account.period.key}:{account.counting}"
    done = db.execute(
        "INSERT INTO alerted (scope, name_id, account, bucket, bound, threshold, time_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (account.scope, name_id, key, crossing.bucket, crossing.bound, threshold, now_ms),
    )
    return bool(done.rowcount == 1)
