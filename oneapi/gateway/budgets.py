"""From the file's amounts, budgets and rates to what a request is admitted by, computed at build
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR
from typing import Literal

from oneapi.config import schema
from oneapi.config.values import Amount, BudgetLine
from oneapi.ledger.accounts import TOTAL, Account, Budget, Counting, Period, Scope, Unit
from oneapi.ledger.prices import NANO

LimitScope = Literal["user", "token", "channel"]
_UNITS: Mapping[str, Unit] = {
    "usd": "nanousd",
    "points": "nanousd",
    "tokens": "tokens",
    "requests": "requests",
}
DAY = Period("day")


@dataclass(frozen=True, slots=True)
class Limits:
    """What somebody or something may take at once; 0 means any number.

    `rpm` requests and `tpm` tokens (as `counting` counts them) in any 60 seconds, `concurrency`
    requests at once, `max_input` tokens of one input.
    """

    scope: LimitScope
    name: str
    rpm: int = 0
    tpm: int = 0
    counting: Counting = "all"
    concurrency: int = 0
    max_input: int = 0
    queue_s: float = 0.0

    @property
    def paced(self) -> bool:
        """Whether requests have to be counted for it."""
        return bool(self.rpm or self.tpm or self.concurrency)


def limits_of(scope: LimitScope, name: str, table: schema.Bounds) -> Limits | None:
    """The limits of a table, None where it sets none."""
    if not (table.rpm or table.tpm or table.concurrency or table.max_input):
        return None
    return Limits(
        scope,
        name,
        rpm=table.rpm,
        tpm=table.tpm,
        counting=table.tokens_count,
        concurrency=table.concurrency,
        max_input=table.max_input,
        queue_s=table.queue_s,
    )


def nanousd(amount: Amount, site: schema.Site) -> int:
    """Dollars or points as nano-dollars, rounded down."""
    dollars = amount.value / site.points_per_usd if amount.unit == "points" else amount.value
    return int((dollars * NANO).to_integral_value(ROUND_FLOOR))


def quota(scope: Scope, name: str, limit: int, *, credited: bool = False) -> Budget:
    """What may be spent in all, in nano-dollars; `credited` adds what the account's book holds."""
    return Budget(Account(scope, name, "nanousd", TOTAL), limit, credited)


def budgets_of(
    scope: Scope,
    name: str,
    lines: Iterable[BudgetLine],
    site: schema.Site,
    counting: Counting = "all",
) -> list[Budget]:
    """The budgets that a table's lines say."""
    return [_budget(scope, name, line, site, counting) for line in lines]


def bounds_of(scope: Scope, name: str, table: schema.Bounds, site: schema.Site) -> list[Budget]:
    """The budgets of a table, its requests a day among them."""
    found = budgets_of(scope, name, table.budget, site, table.tokens_count)
    if table.rpd:
        found.append(Budget(Account(scope, name, "requests", DAY), table.rpd))
    return found


def tightest(budgets: Sequence[Budget]) -> tuple[Budget, ...]:
    """One budget an account: where two bound the same one, the lower is enough."""
    found: dict[Account, Budget] = {}
    for budget in budgets:
        held = found.get(budget.account)
        if held is None or budget.limit < held.limit:
            found[budget.account] = budget
    return tuple(found.values())


def _budget(
    scope: Scope, name: str, line: BudgetLine, site: schema.Site, counting: Counting
) -> Budget:
    unit = _UNITS[line.amount.unit]
    account = Account(
        scope,
        name,
        unit,
        Period(line.period, line.seconds),
        counting if unit == "tokens" else "all",
    )
    if unit == "nanousd":
        return Budget(account, nanousd(line.amount, site))
    return Budget(account, int(line.amount.value.to_integral_value(ROUND_FLOOR)))


def declared_queue_s(tables: Iterable[schema.Bounds]) -> float:
    """Seconds that a request may wait: the least of those that say any."""
    return min((table.queue_s for table in tables if table.queue_s), default=0.0)
