"""One request's leave to spend, and what is said where there is none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TypeAlias

from oneapi.ledger.accounts import Budget
from oneapi.ledger.lease import Lease

Want: TypeAlias = tuple[Budget, int]
"""A budget, and the most that the request can add to its account."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """What a request could not have: the first of its budgets that has not enough left.

    In the account's unit: `limit` is the bound in force, credit included, `used` what was settled
    in its period, `held` what requests in flight hold or may. `frees_ms` is the Unix millisecond
    at which there will be enough if nobody takes it; 0 where time alone never helps.
    """

    budget: Budget
    limit: int
    used: int
    held: int
    frees_ms: int


@dataclass(slots=True, eq=False)
class Permit:
    """Open holds of one request. It ends by `Door.settle` or `Door.release`, whichever comes first.

    It may be extended by further holds (a channel's budget at each attempt) and shrunk by
    `Door.give_back` (the channel was left for another). Ended ones hold nothing any more.
    """

    open: bool = True
    settled: asyncio.Future[None] | None = None
    holds: list[tuple[Budget, int, Lease]] = field(default_factory=list)
    """Each with the lease it was taken from."""

    @property
    def wants(self) -> tuple[Want, ...]:
        """What it holds."""
        return tuple((budget, amount) for budget, amount, _ in self.holds)
