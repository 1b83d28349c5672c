"""What a request costs."""

from __future__ import annotations

import gc
import math
import timeit
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.ir import USAGE_BUCKETS, Usage
from oneapi.ledger.pricelist import rule_of
from oneapi.ledger.prices import (
    MOST_NANOUSD,
    MOST_UNITS,
    RATES,
    Price,
    Rates,
    Rule,
    Tier,
)

counts = st.integers(0, 10**9)
rates = st.integers(0, 10**13)
usages = st.builds(Usage, **dict.fromkeys(USAGE_BUCKETS, counts))
all_rates = st.builds(Rates, **dict.fromkeys(RATES, rates))
INPUT = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in")
PER_MILLION = {
    "input": "input",
    "cache_read": "cache_read",
    "cache_write_5m": "cache_write",
    "cache_write_1h": "cache_write_1h",
    "audio_in": "audio_input",
    "image_in": "image_input",
    "output": "output",
    "reasoning": "reasoning",
    "audio_out": "audio_output",
    "characters": "character",
}
EACH = {"images": "image", "searches": "search"}


def independent(rates: Rates, usage: Usage) -> Fraction:
    """Nano-dollars of a usage, bucket by bucket, before the ratio."""
    total = Fraction(rates.request)
    for bucket, rate in PER_MILLION.items():
        total += Fraction(getattr(usage, bucket) * getattr(rates, rate), 10**6)
    for bucket, rate in EACH.items():
        total += getattr(usage, bucket) * getattr(rates, rate)
    return total + Fraction(usage.audio_ms * rates.second, 1000)


@given(usages, all_rates, st.integers(0, 10**9))
def test_the_cost_is_the_exact_sum_rounded_up_once(usage: Usage, rates: Rates, ratio: int) -> None:
    exact = math.ceil(independent(rates, usage) * Fraction(ratio, 10**6))
    assert Price(Rule("r", rates), ratio).cost(usage) == min(exact, MOST_NANOUSD)


@given(usages, all_rates, all_rates, st.integers(1, 10**10))
def test_a_tier_prices_the_whole_request(usage: Usage, low: Rates, high: Rates, above: int) -> None:
    longer = sum(getattr(usage, bucket) for bucket in INPUT) > above
    exact = math.ceil(independent(high if longer else low, usage))
    price = Price(Rule("r", low, (Tier(above, high),)))
    assert price.cost(usage) == min(exact, MOST_NANOUSD)


@given(st.builds(Usage, **dict.fromkeys(USAGE_BUCKETS, st.integers(-(10**20), 10**20))), all_rates)
def test_absurd_counts_neither_refund_nor_overflow(usage: Usage, rates: Rates) -> None:
    sane = Usage(*(min(max(count, 0), MOST_UNITS) for count in usage.as_tuple()))
    price = Price(Rule("r", rates, (Tier(1000, rates),)), 1_500_000)
    assert 0 <= price.cost(usage) == price.cost(sane) <= MOST_NANOUSD


@given(usages)
def test_a_tier_counts_what_usage_calls_its_input(usage: Usage) -> None:
    tokens = usage.input_tokens
    below = Price(Rule("r", Rates(), (Tier(tokens, Rates(request=1)),)))
    above = Price(Rule("r", Rates(), (Tier(max(tokens - 1, 0), Rates(request=1)),)))
    assert (below.cost(usage), above.cost(usage)) == (0, int(tokens > 0))


def test_a_negative_count_does_not_lower_the_tier() -> None:
    price = Price(Rule("r", Rates(input=1), (Tier(100, Rates(input=10**6)),)))
    assert price.cost(Usage(input=101, cache_read=-50)) == 101


@given(usages, all_rates, all_rates, st.integers(0, 10**7))
def test_a_price_can_be_made_again_from_what_the_ledger_keeps(
    usage: Usage, low: Rates, high: Rates, ratio: int
) -> None:
    rule = Rule("prices.x", low, (Tier(5, low), Tier(10**6, high)), (("big", 7),), table="2026")
    price = Price(rule, ratio)
    again = Price.from_body(price.body)
    assert again == price
    assert (again.id, again.cost(usage), again.rule) == (price.id, price.cost(usage), rule)


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"rule":"x","ratio":1,"rates":{"colour":1}}'])
def test_what_is_no_price_is_refused(body: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own is one
        Price.from_body(body)


def test_the_id_changes_with_every_number_and_with_nothing_else() -> None:
    rule = Rule("prices.x", Rates(input=5), (Tier(9, Rates(input=6)),))
    others = [
        Price(rule, 999_999),
        Price(replace(rule, rates=Rates(input=4))),
        Price(replace(rule, tiers=(Tier(8, Rates(input=6)),))),
        Price(replace(rule, images=(("hd", 1),))),
        Price(replace(rule, table="2026-11-24")),
    ]
    assert len({Price(rule).id, *(price.id for price in others)}) == 6
    assert Price(rule).id == Price(replace(rule, source="https://elsewhere")).id
    assert Price(rule).id.startswith("prices.x@")


@pytest.mark.parametrize(
    ("dollars", "usage", "ratio", "nano"),
    [
        # gpt-4o at $2.5 and $10, 1,000 and 500 tokens: $0.0075
        ({"input": "2.5", "output": "10"}, Usage(input=1000, output=500), 10**6, 7_500_000),
        ({"input": "2.5", "output": "10"}, Usage(input=1000, output=500), 500_000, 3_750_000),
        ({"input": "0.25", "cache_read": "0.025"}, Usage(input=10, cache_read=90), 10**6, 4_750),
        ({"input": "0.000000001"}, Usage(input=1), 10**6, 1),  # rounded up
        ({"input": "3"}, Usage(cache_write_5m=1, cache_write_1h=1), 10**6, 6_000),
        ({"input": "3", "cache_write": "4"}, Usage(cache_write_1h=1), 10**6, 4_000),
        ({"input": "3", "output": "15"}, Usage(audio_in=1, image_in=1, audio_out=1), 10**6, 21_000),
        ({"input": "3", "output": "15"}, Usage(images=4, audio_ms=9, searches=9), 10**6, 0),
        ({"image": "0.04"}, Usage(images=3), 10**6, 120_000_000),
        ({"second": "0.0001"}, Usage(audio_ms=2_500), 10**6, 250_000),
        ({"second": "0.0001"}, Usage(audio_ms=1), 10**6, 100),
        ({"character": "15"}, Usage(characters=1000), 10**6, 15_000_000),
        ({"search": "0.01"}, Usage(searches=2), 10**6, 20_000_000),
        ({"request": "0.005", "input": "1"}, Usage(input=1000), 10**6, 6_000_000),
        ({"request": "0.005"}, Usage(), 2 * 10**6, 10_000_000),
        ({"output": "1", "reasoning": "2"}, Usage(output=1, reasoning=1), 10**6, 3_000),
        ({"input": "0", "output": "0"}, Usage(input=10**9, output=10**9), 10**6, 0),
        ({"input": "3"}, Usage(input=1), 0, 0),
    ],
)
def test_price_vectors(dollars: dict[str, str], usage: Usage, ratio: int, nano: int) -> None:
    rule = rule_of("r", {key: Decimal(value) for key, value in dollars.items()})
    assert Price(rule, ratio).cost(usage) == nano


@given(usages, all_rates, all_rates, st.integers(0, 10**10), st.integers(0, 10**9))
def test_no_usage_of_so_many_tokens_costs_more_than_the_most(
    usage: Usage, low: Rates, high: Rates, above: int, ratio: int
) -> None:
    """Whatever the tokens turn out to be, and as little as it can be: one such usage costs it."""
    price = Price(Rule("r", low, (Tier(above, high),)), ratio)
    made = ("output", "reasoning", "audio_out")
    spent = replace(usage, images=0, audio_ms=0, characters=0, searches=0)
    most = price.most(spent.input_tokens, INPUT, spent.output_tokens, made)
    assert price.cost(spent) <= most
    dearest = [
        Usage(**{read: spent.input_tokens, write: spent.output_tokens})
        for read in INPUT
        for write in made
    ]
    assert most == max(map(price.cost, dearest))


@given(usages, all_rates)
def test_the_steps_add_up_to_the_cost(usage: Usage, rates: Rates) -> None:
    price = Price(Rule("r", rates))
    total = sum(Fraction(count * rate, 10**6) for _, count, rate in price.steps(usage))
    assert min(math.ceil(total), MOST_NANOUSD) == price.cost(usage)


def test_the_most_specific_price_of_an_image_counts() -> None:
    images = {"1024x1024 HD": "4", "1024x1024": "2", "hd": "3", "*": "1"}
    rule = rule_of("r", {}, images={k: Decimal(v) for k, v in images.items()})
    found = [
        Price(rule).for_image(*variant).cost(Usage(images=1)) // 10**9
        for variant in (
            ("1024x1024", "hd"),
            ("1024x1024", "standard"),
            ("512x512", "HD"),
            ("512x512", ""),
            ("", ""),
        )
    ]
    assert found == [4, 2, 3, 1, 1]
    assert Price(rule).cost(Usage(images=1)) == 10**9  # where nobody asked for the size
    assert rule.dearest_image == 4 * 10**9


def test_a_picture_costs_the_same_in_a_tier() -> None:
    tiers = [(10, {"input": Decimal(9)})]
    images = {"hd": Decimal(2), "*": Decimal(1)}
    rule = rule_of("r", {"input": Decimal(1)}, tiers=tiers, images=images)
    price = Price(rule).for_image("", "hd")
    assert price.cost(Usage(input=11, images=1)) == 2 * 10**9 + 99_000


def test_a_rate_is_shown_as_the_caller_pays_it() -> None:
    assert Price(Rule("r"), 333_333).paid(10) == 4


def test_a_cost_takes_a_few_microseconds() -> None:
    rates = Rates(input=3 * 10**9, output=15 * 10**9, cache_read=3 * 10**8)
    price = Price(Rule("r", rates, (Tier(200_000, rates),)))
    usage = Usage(input=1000, output=500, cache_read=300)
    gc.disable()
    try:
        best = min(timeit.repeat(lambda: price.cost(usage), number=2000, repeat=7)) / 2000
    finally:
        gc.enable()
    assert best < 3 * 2.5e-6  # 2.5 µs measured, three times for a busy machine
