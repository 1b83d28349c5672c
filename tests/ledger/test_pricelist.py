"""Which price line applies."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.ir import Usage
from oneapi.ledger.pricelist import (
    EMPTY,
    PriceError,
    PriceList,
    PriceTable,
    from_ratio,
    rates_of,
    rule_of,
)
from oneapi.ledger.prices import LOCAL, Price, Rates, Rule


def table(*names: str, of: str = "") -> PriceTable:
    return PriceTable({name: Rule(of + name) for name in names})


TABLE = table("fast", "gpt-5-mini", "gpt-*", "gpt-5*", "*-mini", "llama[23]", "q?en")


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
def test_exact_names_come_before_globs_and_the_longest_glob_first(
    asked: str, served: str, found: str
) -> None:
    assert TABLE.find(asked, served) == Rule(found)
    assert TABLE.find("x", "y") is None
    assert EMPTY.find("gpt-4") is None


LIST = PriceList(
    table("own", "fast", of="prices."),
    channels={"a": table("own", "a-*", of="a.")},
    books={"one": table("m", "own", "gpt-*", of="one/"), "two": table("m", "n", of="two/")},
    default=None,
)


def found(asked: str, served: str, **options: bool) -> str | None:
    local, deployments = options.get("local", False), options.get("deployments", False)
    channel = "a" if options.get("at_a") else "b"
    books = ["nowhere", "one", "two"]
    rule = LIST.find(
        asked, served, channel=channel, books=books, local=local, deployments=deployments
    )
    return rule.name if rule is not None else None


def test_a_channels_own_lines_come_first_then_the_files_then_the_books() -> None:
    assert found("own", "x", at_a=True) == "a.own"
    assert found("x", "a-1", at_a=True) == "a.a-*"
    assert found("own", "x") == "prices.own"
    assert found("fast", "m", at_a=True) == "prices.fast"
    assert found("x", "m") == "one/m"
    assert found("x", "n") == "two/n"
    assert found("x", "GPT-4") == "one/gpt-*"


def test_a_book_goes_by_the_served_name_unless_names_are_the_operators_own() -> None:
    assert found("m", "prod-1") is None
    assert found("m", "prod-1", deployments=True) == "one/m"
    assert found("n", "m", deployments=True) == "one/m"


def test_a_local_channel_costs_what_the_file_says_and_else_nothing() -> None:
    assert found("x", "m", local=True) == "local"
    assert found("own", "m", local=True) == "prices.own"
    assert Price(LOCAL).cost(Usage(input=10**9, output=10**9, images=5)) == 0


def test_the_default_prices_what_nothing_else_does_but_no_local_channel() -> None:
    prices = PriceList(EMPTY, default=Rule("site.default_price"))
    rules = [prices.find("x", "x", channel="a", books=(), local=local) for local in (False, True)]
    assert rules == [Rule("site.default_price"), LOCAL]
    assert PriceList(EMPTY).find("x", "x", channel="a", books=(), local=False) is None


def test_the_steps_of_the_look_up_are_told_in_order() -> None:
    places = list(LIST.places("x", "N", channel="a", books=["one", "two"], local=False))
    assert [(p.kind, p.name, p.asked, p.rule and p.rule.name) for p in places] == [
        ("channel", "channels.a.prices", ("x", "N"), None),
        ("file", "prices", ("x", "N"), None),
        ("book", "one", ("N", "n"), None),
        ("book", "two", ("N", "n"), "two/n"),
    ]


def test_a_price_is_made_once_for_each_ratio() -> None:
    rule = Rule("r", Rates(input=1))
    assert LIST.price(rule, 5) is LIST.price(rule, 5)
    assert LIST.price(rule, 5) != LIST.price(rule, 6)


def test_what_a_line_leaves_out_is_as_its_neighbour() -> None:
    rates = rates_of({"input": Decimal(1), "output": Decimal(2), "cache_write": Decimal(3)})
    nano = 10**9
    assert rates == Rates(
        input=nano,
        cache_read=nano,
        cache_write=3 * nano,
        cache_write_1h=3 * nano,
        audio_input=nano,
        image_input=nano,
        output=2 * nano,
        reasoning=2 * nano,
        audio_output=2 * nano,
    )


def test_a_tier_changes_what_it_names_and_what_follows_that() -> None:
    dollars = {"input": Decimal(1), "output": Decimal(2), "cache_read": Decimal("0.1")}
    rule = rule_of("r", dollars, tiers=[(200, {"input": Decimal(4)}), (100, {"input": Decimal(2)})])
    assert [(t.above, t.rates.input // 10**9) for t in rule.tiers] == [(100, 2), (200, 4)]
    high = rule.tiers[1].rates
    assert (high.image_input, high.cache_read, high.output) == (4 * 10**9, 10**8, 2 * 10**9)


def test_a_price_is_read_to_its_last_digit() -> None:
    rates = rates_of({"input": Decimal("1234567890123456789012345678901.000000001")})
    assert rates.input == 1234567890123456789012345678901000000001


@pytest.mark.parametrize("price", ["-1", "0.0000000001", "NaN", "Infinity"])
def test_a_price_that_cannot_be_kept_exactly_is_refused(price: str) -> None:
    with pytest.raises(PriceError) as caught:
        rule_of("r", {"input": Decimal(1)}, tiers=[(1, {"output": Decimal(price)})])
    assert caught.value.key == ("tiers", 0, "output")


@pytest.mark.parametrize(
    ("images", "key"),
    [
        ({"1024x1024": "1"}, ("image",)),
        ({}, ("image",)),
        ({"*": "1", "": "1"}, ("image", "")),
        ({"*": "1", "1 2 3": "1"}, ("image", "1 2 3")),
        ({"*": "1", "1024* hd": "1"}, ("image", "1024* hd")),
        ({"*": "1", "hd": "-1"}, ("image", "hd")),
    ],
)
def test_prices_of_images_that_fit_none_or_leave_some_out_are_refused(
    images: dict[str, str], key: tuple[str, ...]
) -> None:
    with pytest.raises(PriceError) as caught:
        rule_of("r", {}, images={k: Decimal(v) for k, v in images.items()})
    assert caught.value.key == key


def test_two_tiers_that_begin_alike_are_refused() -> None:
    with pytest.raises(PriceError, match=r"^tiers\.1\.above: two tiers begin above 5$"):
        rule_of("r", {}, tiers=[(5, {}), (5, {})])


ratios = st.decimals(0, 1000, places=4)


@given(ratios, ratios)
def test_ratios_become_dollars_exactly_or_a_nano_dollar_up(ratio: Decimal, more: Decimal) -> None:
    dollars = from_ratio(ratio, more)
    exact = Fraction(ratio) * 2
    assert Fraction(dollars["input"]) == exact
    assert Fraction(dollars["character"]) == exact
    assert Fraction(dollars["image"]) == exact / 1000
    assert Fraction(dollars["output"]) == exact * Fraction(more)


def test_a_third_that_was_cut_somewhere_is_a_third_again() -> None:
    # gpt-3.5-turbo-0301 of the original: ratio 0.75, completion ratio 4/3
    dollars = from_ratio(Decimal("0.75"), Decimal("1.3333333333"))
    assert dollars["output"] == Decimal("2")
    rates_of(dollars)  # can be kept


# The original's arithmetic (one-api.md 3.14): points of its formulas, and what we charge in its
# points (2,000 nano-dollars each). Ours differ by rule where it rounds each record up to a point:
# we round up to a nano-dollar (D26).

CHAT = [
    # ratio, completion ratio, group ratio, usage, the original's points, ours
    ("2.5", "4", 10**6, Usage(input=1000, output=500), 7500, "7500"),
    ("0.075", "4", 10**6, Usage(input=1, output=1), 1, "0.375"),
    ("1.5", "5", 10**6, Usage(input=2000, output=1000), 10500, "10500"),
    ("1.5", "5", 500_000, Usage(input=2000, output=1000), 5250, "5250"),
    ("0", "1", 10**6, Usage(input=10**6, output=10**6), 0, "0"),
    ("30", "1", 10**6, Usage(input=100, output=100), 6000, "6000"),
    # whisper-1: it charged the transcript's 200 tokens without the ratio; meant, and charged by
    # us, are 3,000
    ("15", "1", 10**6, Usage(output=200), 200, "3000"),
    ("7.5", "1", 10**6, Usage(characters=1000), 7500, "7500"),  # tts-1
]


@pytest.mark.parametrize(("ratio", "completion", "group", "usage", "theirs", "ours"), CHAT)
def test_the_originals_vectors(
    ratio: str, completion: str, group: int, usage: Usage, theirs: int, ours: str
) -> None:
    rule = rule_of("r", from_ratio(Decimal(ratio), Decimal(completion)))
    cost = Price(rule, group).cost(usage)
    assert Fraction(cost, 2000) == Fraction(ours)
    if usage != Usage(output=200):  # but for its defect, nothing differs by more than its rounding
        assert 0 <= theirs - Fraction(cost, 2000) < 1


def test_a_cached_token_costs_what_input_does_by_ratios() -> None:
    rule = rule_of("r", from_ratio(Decimal("2.5"), Decimal(4)))
    assert Price(rule).cost(Usage(cache_read=1000)) == 2500 * 2000


@pytest.mark.parametrize(
    ("ratio", "images", "variant", "n", "points"),
    [
        # dall-e-3, ratio 20, 1024x1792 (×2) in hd (×1.5)
        ("20", {"1024x1792 hd": "0.12", "*": "0.04"}, ("1024x1792", "hd"), 1, 60_000),
        # dall-e-2, ratio 10, 512x512 (×1.125), three of them
        (
            "10",
            {"512x512": "0.0225", "1024x1024": "0.025", "*": "0.02"},
            ("512x512", ""),
            3,
            33_750,
        ),
        ("10", None, ("256x256", ""), 1, 10_000),
    ],
)
def test_the_originals_images(
    ratio: str, images: dict[str, str] | None, variant: tuple[str, str], n: int, points: int
) -> None:
    dollars = {k: Decimal(v) for k, v in images.items()} if images is not None else None
    rule = rule_of("r", from_ratio(Decimal(ratio), Decimal(1)), images=dollars)
    assert Price(rule).for_image(*variant).cost(Usage(images=n)) == points * 2000
