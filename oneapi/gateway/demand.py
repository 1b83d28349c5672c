"""What a request can use at most, in numbers, and what that costs: pure arithmetic.

How the numbers come about stands in `holding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from oneapi.ir import Usage
from oneapi.ledger.accounts import Budget
from oneapi.ledger.door import Want
from oneapi.ledger.prices import Price, Rates

MARGIN: Final = 13
"""Tenths of the estimate that are held (D27)."""
LEAST_OUTPUT: Final = 1_024
"""Tokens under which an answer is not shortened to what is left (D27)."""
_RATE: Final = {
    "input": "input",
    "cache_write_5m": "cache_write",
    "cache_write_1h": "cache_write_1h",
    "image_in": "image_input",
    "audio_in": "audio_input",
    "output": "output",
    "reasoning": "reasoning",
    "audio_out": "audio_output",
}


@dataclass(slots=True)  # never changed; `frozen` costs three microseconds each
class Demand:
    """What a request can use at most. `input` and `output` are tokens, of all its answers; they
    may fall into any of the buckets `reads` and `writes`. `answers` is how many share `output`.
    """

    input: int = 0
    output: int = 0
    answers: int = 1
    reads: tuple[str, ...] = ("input",)
    writes: tuple[str, ...] = ("output", "reasoning")
    images: int = 0
    audio_ms: int = 0
    characters: int = 0
    searches: int = 0
    free: bool = False  # counting is, whatever a request costs

    @property
    def tokens(self) -> int:
        return self.input + self.output

    def cost(self, price: Price) -> int:
        """Nano-dollars of it, at the dearest that its buckets can cost."""
        if self.free:
            return 0
        if not (self.images or self.audio_ms or self.characters or self.searches):
            return price.most(self.input, self.reads, self.output, self.writes)
        rates = price.rule.rates
        usage = Usage(
            images=self.images,
            audio_ms=self.audio_ms,
            characters=self.characters,
            searches=self.searches,
        )
        setattr(usage, _dearest(self.reads, rates), self.input)
        setattr(usage, _dearest(self.writes, rates), self.output)
        return price.cost(usage)


def _dearest(buckets: Sequence[str], rates: Rates) -> str:
    if len(buckets) == 1:
        return buckets[0]
    return max(buckets, key=lambda bucket: getattr(rates, _RATE[bucket]))


def cost(demand: Demand, prices: Iterable[Price | None]) -> int:
    """Nano-dollars at the dearest of the prices; nothing where nothing prices it (D26)."""
    dearest = 0
    for price in prices:
        if price is not None:
            dearest = max(dearest, demand.cost(price))
    return dearest


def wants(budgets: Iterable[Budget], demand: Demand, prices: Iterable[Price | None]) -> list[Want]:
    """What the request needs of each budget."""
    amounts = {"nanousd": cost(demand, prices), "tokens": demand.tokens, "requests": 1}
    return [(budget, amounts[budget.account.unit]) for budget in budgets]


def estimated(demand: Demand, tokens: int) -> Demand:
    """The demand with a counted input, which holds the pictures too."""
    return replace(demand, input=min(demand.input, -(-tokens * MARGIN // 10)))


def affordable(
    demand: Demand, left: Sequence[tuple[Budget, int]], prices: Sequence[Price | None]
) -> int:
    """Tokens that one answer may have, so that the request fits into what is left of each budget;
    0 where its input alone does not.
    """
    most = demand.output
    for budget, rest in left:
        match budget.account.unit:
            case "nanousd":
                most = min(most, _within(demand, rest, prices))
            case "tokens":
                most = min(most, rest - demand.input)
            case "requests":
                most = most if rest >= 1 else 0
    return max(most, 0) // demand.answers


def _within(demand: Demand, nanousd: int, prices: Sequence[Price | None]) -> int:
    """Output tokens that so much money pays for beside everything else."""
    dry = cost(replace(demand, output=0), prices)
    if nanousd < dry:
        return 0
    whole = cost(demand, prices)
    if whole <= nanousd:
        return demand.output
    return demand.output * (nanousd - dry) // (whole - dry)
