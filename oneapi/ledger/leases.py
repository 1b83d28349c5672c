"""Leasing slices of budgets, in the ledger: one turn is one transaction for many requests.

Whatever happens, what an account has spent and what all processes have leased of it is together
never more than its limit (and credit): a slice is taken only where there is room for it. A slice
is not bound to a period: it may be spent in the one that is ending or in the next, and fits both.

Far from the limit a slice is many requests' worth; near it, exactly what the waiting requests
hold. Where a request finds no room, the account is marked as short: every process then gives back
at once what it does not need, and promises to go on doing so for a while (`promised_ms`). As long
as a process has not promised, it may have something idle, and the request is worth a little wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from oneapi.ledger import charging, names, reaping, spending
from oneapi.ledger.accounts import Account, Budget
from oneapi.ledger.charging import BudgetId, Charges, Flush, Index
from oneapi.ledger.permit import Shortage, Want
from oneapi.ledger.spending import TIGHT_MS, Kept

SHARE: Final = 16
"""A slice is at most this part of what is left,"""
HOLDS: Final = 64
"""and at most so many holds, or as much as is held at the moment."""
_MARK_MS: Final = 1_000  # how often a shortage is written down anew


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits: what it wants, and when it arrived."""

    wants: Sequence[Want]
    arrived_ms: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What a process asks of the ledger. `held` is what its open permits hold of the accounts that
    are asked for; `back` is what it gives back, by budget; `tight` are budgets known to be short;
    `overdrawn` are those whose lease is smaller than what is held and spent of it, with both.
    """

    zone: tzinfo
    now_ms: int
    asks: Sequence[Asked] = ()
    renew: Sequence[Asked] = ()
    held: Mapping[Account, int] = field(default_factory=dict)
    back: Mapping[BudgetId, int] = field(default_factory=dict)
    tight: frozenset[BudgetId] = frozenset()
    overdrawn: Mapping[BudgetId, tuple[int, int]] = field(default_factory=dict)
    reap: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease as the ledger has it after a turn. Requests under a lower limit than `limit` have to
    ask. `elsewhere` is what was used, and what others have leased, in the period that begins at
    `since_ms`; `low` is how little may be left free before more is asked for.
    """

    account: Account
    budget_id: BudgetId
    amount: int
    limit: int
    credit: int
    elsewhere: int
    since_ms: int
    low: int
    short: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """To one request: `shortage` is None where there is enough. `worth_waiting` says that another
    process may have something that it does not need.
    """

    shortage: Shortage | None = None
    worth_waiting: bool = False


@dataclass(frozen=True, slots=True)
class Turned:
    """What came of a turn: answers in the order of its asks, the leases it touched, `amounts` of
    others that became smaller, and what was summed up of what the process was `told`. The rest is
    for the writer: `flush`, the accounts `known` now, `totals` that are leased.
    """

    answers: Sequence[Answer]
    grants: Sequence[Grant]
    amounts: Mapping[BudgetId, int]
    told: Mapping[BudgetId, int]
    dead: Sequence[int]
    flush: Flush
    known: Index
    totals: Mapping[tuple[str, int], BudgetId]


@dataclass(slots=True)
class _Slice:
    """An account in a turn: what this process has of it, takes, and has given to its requests."""

    kept: Kept
    own: int
    others: int
    free: int
    limit: int = spending.MOST
    take: int = 0
    spoken: int = 0
    typical: int = 0
    low: int = 0
    short: bool = False
    used: dict[int, int] = field(default_factory=dict)

    def bound(self, limit: int, amount: int) -> None:
        """Note the lowest limit, and how much a request wants."""
        self.limit = min(self.limit, limit)
        self.typical = max(self.typical, amount)

    def lacks(self, amount: int) -> int:
        """How much must be taken for so much more; not positive where nothing need be."""
        return amount - (self.free + self.take - self.spoken)

    def room(self, limit: int, since_ms: int) -> int:
        """What may still be taken under a limit."""
        credit = self.kept.credit
        return limit + credit - self.used[since_ms] - self.others - self.own - self.take


def turn(db: Database, path: Path, charges: Charges, asked: Turn) -> Turned:
    """Carry out a turn within the caller's transaction; nothing is changed but the database."""
    flush = charging.flush(db, charges, asked.now_ms)
    work = _Work(db, charges.number, asked, flush)
    dead = reaping.reap(db, path, charges.number, flush.known, asked.now_ms) if asked.reap else []
    amounts = {**work.cover(), **work.give_back()}
    answers = [work.answer(ask) for ask in asked.asks]
    for ask in asked.renew:
        work.renew(ask)
    grants = work.grant()
    totals = work.totals(charges.total_ids)
    known = charging.index(db) if work.opened else flush.known
    changed = {**flush.amounts, **amounts}
    return Turned(answers, grants, changed, flush.told, dead, flush, known, totals)


class _Work:
    """One turn, while it runs."""

    def __init__(self, db: Database, number: int, asked: Turn, flush: Flush) -> None:
        self._db = db
        self._number = number
        self._asked = asked
        self._known: Index = flush.known
        self._told = flush.told
        self._slices: dict[Account, _Slice] = {}
        self.opened = False

    def cover(self) -> dict[BudgetId, int]:
        """Lease what is held, whatever the limit, where records used more than was held for them:
        what they used is spent, and the holds of others are held all the same.
        """
        amounts: dict[BudgetId, int] = {}
        for budget_id, (held, spent) in self._asked.overdrawn.items():
            # Committed since the process asked: these records' holds are among what is held.
            since = self._told.get(budget_id, 0) - spent
            amount = min(held - max(since, 0), spending.MOST)
            if amount > 0:
                row = self._db.execute(
                    "INSERT INTO leases (budget_id, process_id, amount, promised_ms)"
                    " SELECT id, ?, ?, 0 FROM budgets WHERE id = ?"
                    " ON CONFLICT (budget_id, process_id)"
                    " DO UPDATE SET amount = max(amount, excluded.amount) RETURNING amount",
                    (self._number, amount, budget_id),
                ).fetchone()
                amounts[budget_id] = row[0] if row is not None else 0
        return amounts

    def give_back(self) -> dict[BudgetId, int]:
        """Give back what is idle, and promise more of it for budgets that are short."""
        promised = self._asked.now_ms + TIGHT_MS
        for budget_id in self._asked.tight:
            self._db.execute(
                "UPDATE leases SET promised_ms = ? WHERE budget_id = ? AND process_id = ?",
                (promised, budget_id, self._number),
            )
        amounts: dict[BudgetId, int] = {}
        for budget_id, amount in self._asked.back.items():
            row = self._db.execute(
                "UPDATE leases SET amount = max(amount - ?, 0)"
                " WHERE budget_id = ? AND process_id = ? RETURNING amount",
                (amount, budget_id, self._number),
            ).fetchone()
            amounts[budget_id] = row[0] if row is not None else 0
            if row is not None and row[0] == 0:
                self._db.execute(
                    "DELETE FROM leases WHERE budget_id = ? AND process_id = ?",
                    (budget_id, self._number),
                )
        return amounts

    def answer(self, ask: Asked) -> Answer:
        """All of what a request wants, or nothing."""
        spoken: list[tuple[_Slice, int]] = []
        for place, (budget, amount) in enumerate(ask.wants, 1):
            slice_, since = self._looked_at(budget, amount, ask)
            lacks = max(slice_.lacks(amount), 0)
            room = slice_.room(budget.limit, since)
            if amount and lacks > room:
                for other, earlier in spoken:
                    other.spoken -= earlier
                for other_budget, _ in ask.wants[place:]:  # it may ask what is left of all of them
                    self._looked_at(other_budget, 0, ask)
                return self._refused(slice_, ask, (budget, amount), lacks - room)
            slice_.spoken += amount
            spoken.append((slice_, amount))
        for slice_, _ in spoken:
            # All that was spoken for, so that an account that is wanted twice counts twice.
            slice_.take += max(slice_.lacks(0), 0)
        return Answer()

    def renew(self, ask: Asked) -> None:
        """Look at accounts of which little is left free; `grant` takes more of them."""
        for budget, amount in ask.wants:
            self._looked_at(budget, amount, ask)

    def grant(self) -> list[Grant]:
        """Take slices where much is left, and write down all that was taken."""
        grants: list[Grant] = []
        for account, slice_ in self._slices.items():
            since = max(slice_.used)
            if slice_.typical and not slice_.short:
                self._extend(account, slice_, since)
            amount = max(slice_.own + slice_.take, 0)
            if slice_.take or (slice_.short and slice_.own):
                self._write(slice_, amount)
            elsewhere = slice_.used[since] + slice_.others
            # A limit below what is spent and held: what is given back is not to be held again.
            limit = slice_.limit if slice_.room(slice_.limit, since) >= 0 else spending.MOST
            grants.append(
                Grant(account, slice_.kept.id, amount, limit, slice_.kept.credit,
                      elsewhere, since, slice_.low, slice_.short)
            )  # fmt: skip
        return grants

    def totals(self, before: Mapping[tuple[str, int], BudgetId]) -> dict[tuple[str, int], BudgetId]:
        """Totals that are leased, by the numbers of the names that records may have."""
        same_as = self._known.same_as
        found = {
            (scope, name_id): charging.total_id(
                self._db, scope, same_as.get(name_id, name_id), self._asked.now_ms
            )
            if same_as
            else budget_id
            for (scope, name_id), budget_id in before.items()
        }
        for account, slice_ in self._slices.items():
            if spending.always(account):
                for name_id in names.numbers(self._db, slice_.kept.name_id):
                    found[account.scope, name_id] = slice_.kept.id
        return found

    def _looked_at(self, want: Budget, amount: int, ask: Asked) -> tuple[_Slice, int]:
        """The account in this turn, and when the request's period begins."""
        slice_ = self._slice(want.account)
        since = self._since(slice_, want.account, ask.arrived_ms)
        slice_.bound(want.limit, amount)
        self._shrink(slice_, want.limit, since)
        return slice_, since

    def _slice(self, account: Account) -> _Slice:
        slice_ = self._slices.get(account)
        if slice_ is not None:
            return slice_
        asked = self._asked
        kept, made = spending.open_account(self._db, account, asked.zone, asked.now_ms)
        self.opened |= made
        own = others = 0
        for process, amount in self._db.execute(
            "SELECT process_id, amount FROM leases WHERE budget_id = ?", (kept.id,)
        ).fetchall():
            if process == self._number:
                own = amount
            else:
                others += amount
        free = own - asked.held.get(account, 0)
        short = kept.short_ms > asked.now_ms - TIGHT_MS
        slice_ = _Slice(kept, own, others, free, short=short)
        self._slices[account] = slice_
        return slice_

    def _since(self, slice_: _Slice, account: Account, arrived_ms: int) -> int:
        since = account.period.since(arrived_ms, self._asked.zone)
        if since not in slice_.used:
            slice_.used[since] = spending.used(self._db, slice_.kept.id, account.period, since)
        return since

    def _shrink(self, slice_: _Slice, limit: int, since_ms: int) -> None:
        """A limit that was lowered takes back what is idle."""
        over = -slice_.room(limit, since_ms)
        if over > 0:
            slice_.take -= max(min(over, slice_.free + slice_.take - slice_.spoken), 0)

    def _refused(self, slice_: _Slice, ask: Asked, want: Want, lacking: int) -> Answer:
        budget, amount = want
        since_ms = self._since(slice_, budget.account, ask.arrived_ms)
        kept, now_ms = slice_.kept, self._asked.now_ms
        slice_.short = True
        self._db.execute(
            "UPDATE budgets SET short_ms = ? WHERE id = ? AND short_ms < ?",
            (now_ms, kept.id, now_ms - _MARK_MS),
        )
        unpromised = self._db.execute(
            "SELECT 1 FROM leases WHERE budget_id = ? AND process_id <> ? AND amount > 0"
            " AND promised_ms < ? LIMIT 1",
            (kept.id, self._number, now_ms),
        ).fetchone()
        limit = budget.limit + kept.credit
        used = slice_.used[since_ms]
        held = slice_.others + slice_.own - slice_.free + slice_.spoken  # not what is free here
        frees = 0
        if amount <= limit:
            frees = spending.frees_ms(self._db, kept, since_ms, lacking, ask.arrived_ms)
        shortage = Shortage(budget, limit, used, held, frees)
        return Answer(shortage, worth_waiting=unpromised is not None)

    def _extend(self, account: Account, slice_: _Slice, since_ms: int) -> None:
        left = slice_.room(slice_.limit, since_ms)
        share = left // SHARE
        if share < slice_.typical:
            return
        wanted = max(HOLDS * slice_.typical, self._asked.held.get(account, 0))
        more = min(share, wanted) - (slice_.free + slice_.take - slice_.spoken)
        if more > 0:
            slice_.take += more
        slice_.low = min(share, wanted) // 4

    def _write(self, slice_: _Slice, amount: int) -> None:
        promised = self._asked.now_ms + TIGHT_MS if slice_.short else 0
        self._db.execute(
            "INSERT INTO leases (budget_id, process_id, amount, promised_ms) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (budget_id, process_id) DO UPDATE SET amount = excluded.amount,"
            " promised_ms = max(promised_ms, excluded.promised_ms)",
            (slice_.kept.id, self._number, min(amount, spending.MOST), promised),
        )


def short(db: Database, number: int, now_ms: int) -> frozenset[BudgetId]:
    """Budgets of which a process has a lease and somebody has too little."""
    rows = db.execute(
        "SELECT b.id FROM budgets b JOIN leases l ON l.budget_id = b.id AND l.process_id = ?"
        " WHERE b.short_ms > ? AND b.short_ms > 0",
        (number, now_ms - TIGHT_MS),
    )
    return frozenset(row[0] for row in rows.fetchall())
