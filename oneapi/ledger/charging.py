"""What committed records add to the ledger's sums, kept in memory until it is written.

Belongs to the writer's thread: a record is charged once its commit is done, and the sums follow
within a second or so, in one transaction for many records (`flush`). Whatever a process has not
written when it dies is found again in its records (`reaping`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from operator import itemgetter
from typing import Final, TypeAlias

from sqlite_utils import Database

from oneapi.ir import USAGE_BUCKETS
from oneapi.ledger import spending
from oneapi.ledger.accounts import Account, Counting, Period
from oneapi.ledger.record import ID_SHIFT
from oneapi.ledger.rows import Row
from oneapi.ledger.schema import COLUMNS
from oneapi.ledger.spending import Kept
from oneapi.ledger.tables_limits import KEPT

_PLACE: Final = {column: place for place, column in enumerate(COLUMNS)}
_SCOPES: Final = tuple(
    _PLACE[f"{scope}_id"] for scope in ("user", "token", "group", "channel", "model")
)
_TOTALS: Final = tuple((_PLACE[f"{scope}_id"], scope) for scope in KEPT)
_IDS: Final = itemgetter(*_SCOPES)
_COST: Final = _PLACE["cost_nanousd"]
_ATTEMPTS: Final = _PLACE["attempts"]
_FIRST: Final = _PLACE[USAGE_BUCKETS[0]]
_CACHED: Final = _PLACE["cache_read"]
_OUTPUT: Final = _PLACE["output"]
_AFTER_OUTPUT: Final = _PLACE["audio_out"] + 1
_MOST_PLANS: Final = 1_024
_MOST_TOKENS: Final = 10**15  # as `tables_logs` bounds what one record adds

BudgetId: TypeAlias = int
NameId: TypeAlias = int
Sums: TypeAlias = dict[tuple[BudgetId, int], int]
"""By budget and bucket."""


class Bounded:
    """An account that some configuration bounds, ready to be charged. `amount` is what a record
    adds to it, the same as SQL makes of it (`tables_logs`); from `begin` to before `end` is the
    bucket that was last asked for.
    """

    __slots__ = ("_granule_ms", "_period", "_zone", "amount", "begin", "end", "id", "since_ms")

    def __init__(self, kept: Kept) -> None:
        self.id: BudgetId = kept.id
        self.amount: Callable[[Row], int] = _amount(kept.account)
        self.since_ms = kept.since_ms
        self._period: Period = kept.account.period
        self._granule_ms = self._period.granule_ms if self._period.kind == "rolling" else 0
        self._zone: tzinfo = kept.zone
        self.begin, self.end = (0, spending.MOST) if self._period.kind == "total" else (0, 0)

    def bucket(self, time_ms: int) -> int:
        """Where a request of that time counts."""
        if self.begin <= time_ms < self.end:
            return self.begin
        granule_ms = self._granule_ms
        if granule_ms:
            self.begin = time_ms - time_ms % granule_ms
            self.end = self.begin + granule_ms
        else:
            self.begin = self._period.bucket(time_ms, self._zone)
            self.end = self._period.ends(time_ms, self._zone)
        return self.begin


def _amount(account: Account) -> Callable[[Row], int]:
    match account.unit:
        case "nanousd":
            return _cost
        case "requests":
            return _sent
        case "tokens":
            return functools.partial(_tokens, account.counting)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _cost(row: Row) -> int:
    cost = row[_COST]
    return cost if isinstance(cost, int) and cost > 0 else 0


def _sent(row: Row) -> int:
    """Requests that no provider was asked for are none."""
    return int(_number(row[_ATTEMPTS]) > 0)


def _tokens(counting: Counting, row: Row) -> int:
    try:
        given, made = sum(row[_FIRST:_OUTPUT]), sum(row[_OUTPUT:_AFTER_OUTPUT])  # type: ignore[arg-type]
    except TypeError:  # what a column that is no number holds counts as nothing
        given = sum(map(_number, row[_FIRST:_OUTPUT]))
        made = sum(map(_number, row[_OUTPUT:_AFTER_OUTPUT]))
    spent = min(max(given, 0), _MOST_TOKENS) + min(max(made, 0), _MOST_TOKENS)
    if counting == "all":
        return spent
    cached = _number(row[_CACHED])
    fresh = spent - min(max(cached, 0), _MOST_TOKENS)
    return fresh if counting == "fresh" else fresh + min(max((cached + 9) // 10, 0), _MOST_TOKENS)


@dataclass(frozen=True, slots=True)
class Index:
    """The bounded accounts by the numbers of their names, as of one `version`."""

    version: int = -1
    by_name: Mapping[NameId, Sequence[Bounded]] = field(default_factory=dict)
    init_seq: Mapping[BudgetId, int] = field(default_factory=dict)
    same_as: Mapping[NameId, NameId] = field(default_factory=dict)


def version(db: Database) -> int:
    """Rises when bounded accounts come or go."""
    row = db.execute("SELECT value FROM budget_marks WHERE name = 'budgets'").fetchone()
    return row[0] if row is not None else 0


def index(db: Database) -> Index:
    """The index as the database has it now."""
    same_as = dict(db.execute("SELECT id, same_as FROM names WHERE same_as IS NOT NULL").fetchall())
    aliases: dict[NameId, list[NameId]] = {}
    for alias, name_id in same_as.items():
        aliases.setdefault(name_id, []).append(alias)
    by_name: dict[NameId, list[Bounded]] = {}
    for kept in spending.all_kept(db, " AND b.bounded = 1"):
        bounded = Bounded(kept)
        for name_id in (kept.name_id, *aliases.get(kept.name_id, ())):
            by_name.setdefault(name_id, []).append(bounded)
    seqs = db.execute("SELECT id, init_seq FROM budgets WHERE bounded = 1").fetchall()
    return Index(version(db), by_name, dict(seqs), same_as)


@dataclass(slots=True)
class Added:
    """What records add: to bounded accounts, and to the totals of users and tokens by the numbers
    of their names.
    """

    bounded: Sums = field(default_factory=dict)
    totals: dict[tuple[str, NameId], int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.bounded or self.totals)

    def copy(self) -> Added:
        return Added(dict(self.bounded), dict(self.totals))


def charged(known: Index, rows: Iterable[tuple[int, Row]], totals_after: int) -> Added:
    """What rows of `records` add, each with its place in `tail`: to totals, those after
    `totals_after`; to a bounded account, those which are not in the sums it was made with either.
    """
    added = Added()
    for seq, row in rows:
        if seq > totals_after:
            _add_totals(added, row)
        for budget_id, bucket, amount in _bounded(known, row):
            if seq > max(totals_after, known.init_seq[budget_id]):
                key = (budget_id, bucket)
                added.bounded[key] = added.bounded.get(key, 0) + amount
    return added


def _bounded(known: Index, row: Row) -> list[tuple[BudgetId, int, int]]:
    """The bounded accounts that a record adds to: budget, bucket, amount."""
    time_ms = _number(row[0]) >> ID_SHIFT
    found: list[tuple[BudgetId, int, int]] = []
    for bounded in _of_names(known, row):
        amount = bounded.amount(row)
        if amount:
            bucket = bounded.bucket(time_ms)
            if bucket >= bounded.since_ms:
                found.append((bounded.id, bucket, amount))
    return found


def _of_names(known: Index, row: Row) -> tuple[Bounded, ...]:
    """The bounded accounts of the names that stand in a record."""
    by_name = known.by_name
    return tuple(b for place in _SCOPES for b in by_name.get(row[place], ()))  # type: ignore[arg-type]


def _add_totals(added: Added, row: Row) -> int:
    cost = _cost(row)
    if cost:
        for place, scope in _TOTALS:
            name_id = row[place]
            if isinstance(name_id, int):
                key = (scope, name_id)
                added.totals[key] = added.totals.get(key, 0) + cost
    return cost


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a record of the time from `since_ms` to before `until_ms` adds to: totals, those of them
    that may be leased, and bounded accounts, each with its bucket and what is added to it.
    """

    totals: tuple[tuple[str, NameId], ...]
    leased: tuple[BudgetId, ...]
    bounded: tuple[tuple[tuple[BudgetId, int], Callable[[Row], int]], ...]
    since_ms: int
    until_ms: int


class Charges:
    """What this process's records add to the sums and the database does not hold yet."""

    def __init__(self, number: int) -> None:
        self.number = number
        """The process's, in `processes` and `tail`."""
        self.known = Index()
        self.added = Added()
        self.synced_seq = 0
        self.total_ids: dict[tuple[str, NameId], BudgetId] = {}
        """Totals that this process may have leased."""
        self.amounts: dict[BudgetId, int] = {}
        """Leases that flushes have made smaller since the last turn, as they are now."""
        self._told: dict[BudgetId, int] = {}
        self._plans: dict[tuple[object, ...], _Plan] = {}  # of `known` and `total_ids`, by names

    def charge(self, row: Row, *, tell: bool = True) -> tuple[tuple[BudgetId, int], ...]:
        """Charge a committed record. What it adds to accounts that can be leased, by budget, where
        somebody hears of it.
        """
        ids = _IDS(row)
        cost, time_ms = _cost(row), _number(row[0]) >> ID_SHIFT
        plan = self._plans.get(ids)
        if plan is None or not plan.since_ms <= time_ms < plan.until_ms:
            plan = self._planned(ids, row, time_ms)
        told: list[tuple[BudgetId, int]] = []
        if cost:
            totals = self.added.totals
            for total in plan.totals:
                totals[total] = totals.get(total, 0) + cost
            told += [(budget_id, cost) for budget_id in plan.leased]
        sums = self.added.bounded
        for key, amount_of in plan.bounded:
            amount = cost if amount_of is _cost else amount_of(row)
            if amount:
                sums[key] = sums.get(key, 0) + amount
                told.append((key[0], amount))
        if not tell:
            return ()
        for budget_id, amount in told:
            self._told[budget_id] = self._told.get(budget_id, 0) + amount
        return tuple(told)

    def _planned(self, ids: tuple[object, ...], row: Row, time_ms: int) -> _Plan:
        """What records of these names add to, looked up once: it halves the ten microseconds that
        the writer's thread takes to charge one.
        """
        found = [(b, b.bucket(time_ms)) for b in _of_names(self.known, row)]
        totals = [(scope, name) for p, scope in _TOTALS if isinstance(name := row[p], int)]
        plan = _Plan(
            totals=tuple(totals),
            leased=tuple(self.total_ids[key] for key in totals if key in self.total_ids),
            bounded=tuple(((b.id, at), b.amount) for b, at in found if at >= b.since_ms),
            since_ms=max((b.begin for b, _ in found), default=0),
            until_ms=min((b.end for b, _ in found), default=spending.MOST),
        )
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        self._plans[ids] = plan
        return plan

    def told(self) -> dict[BudgetId, int]:
        """What was told of and is, for all that the hearer knows, in no sum yet."""
        return dict(self._told)

    def flushed(self, flush: Flush) -> None:
        """The flush is committed. Its outcome is kept for the next turn, which passes it on."""
        self.known = flush.known
        self._plans.clear()
        self.synced_seq = flush.synced_seq
        self.added = Added()
        self.amounts = dict(flush.amounts)

    def passed_on(self, known: Index, totals: Mapping[tuple[str, NameId], BudgetId]) -> None:
        """A turn is committed: the hearer knows all that was flushed."""
        self.known = known
        self.total_ids = dict(totals)
        self._plans.clear()
        self.amounts = {}
        self._told = {}


@dataclass(frozen=True, slots=True)
class Flush:
    """What a flush wrote, to be taken over once it is committed.

    `told` is what the hearer was told of since the last turn, all of it summed up now; `amounts`
    are this process's leases that became smaller since, by budget, as they are now.
    """

    known: Index
    synced_seq: int
    told: Mapping[BudgetId, int]
    amounts: Mapping[BudgetId, int]


def flush(db: Database, charges: Charges, now_ms: int) -> Flush:
    """Write what the process's records add, within the caller's transaction; take from its leases
    what was spent. Learns of accounts that others began to sum up.
    """
    number = charges.number
    row = db.execute("SELECT synced_seq, gone_ms FROM processes WHERE id = ?", (number,)).fetchone()
    known = charges.known
    added = charges.added
    fresh = index(db) if version(db) != known.version else known
    if row is None or row[0] != charges.synced_seq or row[1]:
        # Somebody thought this process dead and summed up its records so far.
        since = row[0] if row is not None else charges.synced_seq
        added = charged(fresh, own_rows(db, number, since), since)
        _come_back(db, number, now_ms)
    elif fresh is not known:
        added = _caught_up(db, charges, fresh)
    amounts = write(db, fresh, added, number, now_ms)
    last = db.execute("SELECT coalesce(max(seq), 0) FROM tail").fetchone()[0]
    if added or last != charges.synced_seq:
        db.execute("UPDATE processes SET synced_seq = ? WHERE id = ?", (last, number))
    return Flush(fresh, last, charges.told(), {**charges.amounts, **amounts})


def own_rows(db: Database, number: int, after: int) -> list[tuple[int, Row]]:
    """Rows of `records` that a process wrote after a place in `tail`, each with its own place."""
    columns = ", ".join(f'r."{column}"' for column in COLUMNS)
    rows = db.execute(
        f"SELECT t.seq, {columns} FROM tail t JOIN records r ON r.id = t.record_id"
        " WHERE t.seq > ? AND t.process = ? ORDER BY t.seq",
        (after, number),
    )
    return [(row[0], row[1:]) for row in rows.fetchall()]


def write(
    db: Database, known: Index, added: Added, number: int, now_ms: int
) -> dict[BudgetId, int]:
    """Add to the sums. Returns the process's leases that became smaller by it."""
    spent: dict[BudgetId, int] = {}
    for (budget_id, bucket), amount in added.bounded.items():
        if budget_id in known.init_seq:
            spending.add(db, budget_id, bucket, amount)
            spent[budget_id] = spent.get(budget_id, 0) + amount
    for (scope, name_id), amount in added.totals.items():
        budget_id = total_id(db, scope, known.same_as.get(name_id, name_id), now_ms)
        spending.add(db, budget_id, 0, amount)
        spent[budget_id] = spent.get(budget_id, 0) + amount
    amounts: dict[BudgetId, int] = {}
    for budget_id, amount in spent.items():
        row = db.execute(
            "UPDATE leases SET amount = max(amount - ?, 0)"
            " WHERE budget_id = ? AND process_id = ? RETURNING amount",
            (min(amount, spending.MOST), budget_id, number),
        ).fetchone()
        if row is not None:
            amounts[budget_id] = row[0]
    return amounts


def total_id(db: Database, scope: str, name_id: NameId, now_ms: int) -> BudgetId:
    """The budget that holds a user's or token's money for all time, made where there is none."""
    key = (scope, name_id, "nanousd", "total", "all", "")
    where = "scope = ? AND name_id = ? AND unit = ? AND period = ? AND counting = ? AND zone = ?"
    row = db.execute(f"SELECT id FROM budgets WHERE {where}", key).fetchone()
    if row is None:
        row = db.execute(
            "INSERT INTO budgets (scope, name_id, unit, period, counting, zone, seen_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (*key, now_ms),
        ).fetchone()
    return int(row[0])


def _caught_up(db: Database, charges: Charges, fresh: Index) -> Added:
    """What is to be written, accounts included that this process did not know when it charged."""
    added = charges.added.copy()
    new = fresh.init_seq.keys() - charges.known.init_seq.keys()
    if new:
        since = min(fresh.init_seq[budget_id] for budget_id in new)
        found = charged(fresh, own_rows(db, charges.number, since), since)
        for key, amount in found.bounded.items():
            if key[0] in new:
                added.bounded[key] = amount
    return added


def _come_back(db: Database, number: int, now_ms: int) -> None:
    db.execute(
        "INSERT INTO processes (id, pid, started_ms, synced_seq, gone_ms) VALUES (?, 0, ?, 0, 0)"
        " ON CONFLICT (id) DO UPDATE SET gone_ms = 0",
        (number, now_ms),
    )
