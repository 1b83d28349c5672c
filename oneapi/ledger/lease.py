"""What a process may spend of one account without asking anybody."""

from __future__ import annotations

from dataclasses import dataclass

from oneapi.ledger.accounts import Account


@dataclass(slots=True, eq=False)
class Lease:
    """A slice of a budget that counts as used for all other processes. In the account's unit.

    `amount` is what the ledger knows of it, `held` what open permits hold, `spent` what records
    have used that the ledger's sums do not hold yet. `limit` is the bound, without `credit`,
    under which it was last looked at; `elsewhere` is what all had used then, in the period that
    begins at `since_ms`, and others leased. With less than `low` left free, more is asked for.
    """

    account: Account
    budget_id: int
    amount: int = 0
    held: int = 0
    spent: int = 0
    limit: int = 0
    credit: int = 0
    elsewhere: int = 0
    since_ms: int = 0
    low: int = 0
    idle: int = 0
    """How often in a row nothing was held when somebody looked."""

    @property
    def free(self) -> int:
        """What may be held at once. Negative where records used more than was held for them."""
        return self.amount - self.held - self.spent
