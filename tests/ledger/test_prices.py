"""What a request costs."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.ir import USAGE_BUCKETS, Usage
from oneapi.ledger.prices import LOCAL, PriceTable, Rule, cost, rule_from_decimals

counts = st.integers(0, 10**9)
prices = st.integers(0, 10**13)
usages = st.builds(Usage, **dict.fromkeys(USAGE_BUCKETS, counts))


@given(usages, prices, prices, prices, st.integers(0, 10**9))
def test_the_cost_is_the_exact_sum_rounded_up_once(
    usage: Usage, fresh: int, made: int, cached: int, ratio: int
) -> None:
    prompt = usage.input_tokens - usage.cache_read
    nano = prompt * fresh + usage.cache_read * cached + usage.output_tokens * made
    exact = Fraction(nano, 10**6) * Fraction(ratio, 10**6)
    assert cost(Rule("r", fresh, made, cached), usage, ratio) == math.ceil(exact)


@pytest.mark.parametrize(
    ("dollars", "usage", "ratio", "nano"),
    [
        # gpt-4o at $2.5 and $10, 1,000 and 500 tokens: $0.0075
        (("2.5", "10", None), Usage(input=1_000, output=500), 1_000_000, 7_500_000),
        (("2.5", "10", None), Usage(input=1_000, output=500), 500_000, 3_750_000),
        (("0.25", "2.0", "0.025"), Usage(input=10, cache_read=90, output=1), 1_000_000, 6_750),
        (("0.15", "0.6", None), Usage(input=1, output=1), 1_000_000, 750),
        (("0.000000001", None, None), Usage(input=1), 1_000_000, 1),  # rounded up
        (("3", "15", None), Usage(cache_write_5m=1, cache_write_1h=1), 1_000_000, 6_000),
        (("3", "15", None), Usage(audio_in=1, image_in=1, audio_out=1), 1_000_000, 21_000),
        (("3", "15", None), Usage(images=4, audio_ms=9, characters=9, searches=9), 1_000_000, 0),
        (("0", "0", "0"), Usage(input=10**9, output=10**9), 1_000_000, 0),
        (("3", "15", None), Usage(input=1), 0, 0),
    ],
)
def test_price_vectors(
    dollars: tuple[str | None, str | None, str | None], usage: Usage, ratio: int, nano: int
) -> None:
    fresh, made, cached = (Decimal(d) if d is not None else None for d in dollars)
    rule = rule_from_decimals("r", input=fresh, output=made, cache_read=cached)
    assert cost(rule, usage, ratio) == nano


def test_cached_tokens_cost_what_input_does_unless_priced() -> None:
    assert rule_from_decimals("r", input=Decimal("0.25")) == Rule(
        "r", input=250_000_000, output=0, cache_read=250_000_000
    )


def test_a_price_is_read_to_its_last_digit() -> None:
    rule = rule_from_decimals("r", input=Decimal("1234567890123456789012345678901.000000001"))
    assert rule.input == 1234567890123456789012345678901000000001


@pytest.mark.parametrize("price", ["-1", "0.0000000001", "NaN", "Infinity"])
def test_a_price_that_cannot_be_kept_exactly_is_refused(price: str) -> None:
    with pytest.raises(ValueError, match=r"prices\.x\.output: "):
        rule_from_decimals("prices.x", output=Decimal(price))


def test_negative_counts_make_no_refund() -> None:
    assert cost(Rule("r", 10**9, 10**9, 10**9), Usage(input=-5, cache_read=-5, output=1)) == 1_000


def rule(name: str) -> Rule:
    return Rule(name, 1, 1, 1)


TABLE = PriceTable(
    {n: rule(n) for n in ("fast", "gpt-5-mini", "gpt-*", "gpt-5*", "*-mini", "llama[23]", "q?en")}
)


@pytest.mark.parametrize(
    ("asked", "served", "found"),
    [
        ("fast", "gpt-5-mini", "fast"),
        ("quick", "gpt-5-mini", "gpt-5-mini"),
        ("gpt-5-nano", "fast", "fast"),  # exact before glob
        ("gpt-4", "other-mini", "gpt-*"),  # the asked name before the served one
        ("x", "gpt-5-nano", "gpt-5*"),  # the glob that says most
        ("x", "gpt-x-mini", "*-mini"),
        ("x", "llama2", "llama[23]"),
        ("x", "qwen", "q?en"),
    ],
)
def test_the_rule_that_applies(asked: str, served: str, found: str) -> None:
    assert TABLE.find(asked, served, local=False) == rule(found)


def test_what_nothing_prices_has_no_rule_unless_it_is_local() -> None:
    assert TABLE.find("x", "y", local=False) is None
    assert TABLE.find("x", "y", local=True) is LOCAL
    assert PriceTable({}).find("x", "y", local=False) is None


def test_a_local_channel_costs_what_it_is_priced_at() -> None:
    assert TABLE.find("fast", "qwen3", local=True) == rule("fast")
