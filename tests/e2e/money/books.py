"""What a ledger's file says, read and added up with nothing of the gateway's own code.

Sums of the records are made here from the rows and compared with those that the ledger keeps.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

_BUCKETS: Final = (
    "input + cache_read + cache_write_5m + cache_write_1h + audio_in + image_in",
    "output + reasoning + audio_out",
    "cache_read",
)
_ROWS: Final = (
    'SELECT id, request_id, "user", token, "group", model, channel, coalesce(cost_nanousd, 0),'
    f" {', '.join(_BUCKETS)}, attempts FROM log ORDER BY id"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A record. `time_ms` is the Unix millisecond in its id, `names` are by scope."""

    time_ms: int
    request_id: str
    names: Mapping[str, str]
    cost_nanousd: int
    input: int
    output: int
    cached: int
    attempts: int

    def amount(self, unit: str, counting: str) -> int:
        if unit == "nanousd":
            return self.cost_nanousd
        if unit == "requests":
            return int(self.attempts > 0)  # what no provider was asked is no request of a day
        spent = self.input + self.output
        match counting:
            case "fresh":
                return spent - self.cached
            case "billable":
                return spent - self.cached + -(-self.cached // 10)
            case _:
                return spent


@dataclass(frozen=True, slots=True)
class Account:
    """A row of `budgets` with its `spend`: what is used, by the first millisecond of a period."""

    scope: str
    name: str
    unit: str
    period: str
    counting: str
    since_ms: int
    used: Mapping[int, int]

    def counts_of(self, rows: list[Row]) -> dict[int, int]:
        """The same from the records."""
        found: dict[int, int] = defaultdict(int)
        for row in rows:
            if row.names[self.scope] == self.name and row.time_ms >= self.since_ms:
                found[self.bucket(row.time_ms)] += row.amount(self.unit, self.counting)
        return found

    def bucket(self, time_ms: int) -> int:
        """Periods of UTC."""
        kind, _, seconds = self.period.partition(":")
        if kind == "total":
            return 0
        if kind == "rolling":
            return time_ms - time_ms % max(int(seconds) * 1000 // 60, 1000)
        day = datetime.fromtimestamp(time_ms / 1000, UTC).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        begins = {
            "hour": lambda: datetime.fromtimestamp(time_ms // 3_600_000 * 3_600, UTC),
            "day": lambda: day,
            "week": lambda: day - timedelta(days=day.weekday()),
            "month": lambda: day.replace(day=1),
        }
        return int(begins[kind]().timestamp()) * 1000

    def counts_now(self, bucket: int) -> bool:
        """Whether a bucket still bounds anything: sums of those that do not may be forgotten."""
        now = time.time_ns() // 1_000_000
        kind, _, seconds = self.period.partition(":")
        if kind == "rolling":
            return bucket > now - int(seconds) * 1000
        return bucket == self.bucket(now)

    def faults(self, rows: list[Row]) -> list[str]:
        wanted = self.counts_of(rows)
        wrong = [
            f"{self.scope} {self.name} {self.unit}/{self.period} from {bucket}: "
            f"{self.used.get(bucket, 0)} in the sums, {wanted.get(bucket, 0)} in the records"
            for bucket in {*self.used, *wanted}
            if self.used.get(bucket, 0) != wanted.get(bucket, 0)
            and (bucket in self.used or self.counts_now(bucket))
        ]
        return wrong[:3]


@dataclass(frozen=True, slots=True)
class Lease:
    process: int
    account: int
    amount: int


@dataclass(frozen=True, slots=True)
class Books:
    """One look at a ledger. `alive` are the processes that it believes to live."""

    integrity: str
    rows: list[Row] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    alive: set[int] = field(default_factory=set)

    def spent(self, user: str) -> int:
        """Nano-dollars of a user's records."""
        return sum(row.cost_nanousd for row in self.rows if row.names["user"] == user)

    def most_within(self, user: str, window_ms: int) -> int:
        """The most nano-dollars that requests which arrived within any such window cost."""
        mine = [row for row in self.rows if row.names["user"] == user]
        most = inside = first = 0
        for row in mine:
            inside += row.cost_nanousd
            while mine[first].time_ms <= row.time_ms - window_ms:
                inside -= mine[first].cost_nanousd
                first += 1
            most = max(most, inside)
        return most

    def unequal(self) -> list[str]:
        """Sums that are not those of the records."""
        return [words for account in self.accounts for words in account.faults(self.rows)]

    def faults(self) -> list[str]:
        """What must not be once every process has stopped in order."""
        wrong = self.unequal()
        if self.integrity != "ok":
            wrong.append(self.integrity)
        if self.leases:
            wrong.append(f"leases that nobody holds any more: {self.leases[:5]}")
        if self.alive:
            wrong.append(f"processes that have ended: {sorted(self.alive)}")
        if not self.accounts:
            wrong.append("no sums at all")
        return wrong


def read_books(database: Path, *, rows: bool = True) -> Books:
    """One look, in one transaction; a process may be at work. `rows` reads the records as well."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as db:
        db.execute("BEGIN")
        return Books(
            integrity=db.execute("PRAGMA quick_check").fetchone()[0],
            rows=[_row(found) for found in db.execute(_ROWS)] if rows else [],
            accounts=_accounts(db),
            leases=[
                Lease(*found)
                for found in db.execute("SELECT process_id, budget_id, amount FROM leases")
            ],
            alive={row[0] for row in db.execute("SELECT id FROM processes WHERE gone_ms = 0")},
        )


def _row(found: tuple[int | str, ...]) -> Row:
    number, request_id, user, token, group, model, channel, cost, *counts = found
    names = {"user": user, "token": token, "group": group, "model": model, "channel": channel}
    inputs, outputs, cached, attempts = (int(count) for count in counts)
    return Row(
        int(number) >> 20,
        str(request_id),
        {scope: str(name) for scope, name in names.items()},
        int(cost),
        inputs,
        outputs,
        cached,
        attempts,
    )


def _accounts(db: sqlite3.Connection) -> list[Account]:
    used: dict[int, dict[int, int]] = defaultdict(dict)
    for budget, bucket, amount in db.execute("SELECT budget_id, bucket, used FROM spend"):
        used[budget][bucket] = amount
    found = db.execute(
        "SELECT b.id, b.scope, l.name, b.unit, b.period, b.counting, b.since_ms FROM budgets b"
        " JOIN labels l ON l.id = b.name_id"
    )
    return [
        Account(scope, name, unit, period, counting, since_ms, used[number])
        for number, scope, name, unit, period, counting, since_ms in found
    ]
