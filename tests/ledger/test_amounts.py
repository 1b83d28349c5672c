"""Money as text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.config.values import Amount
from oneapi.ledger.amounts import Currency, nanousd, parse, plain, show


@pytest.mark.parametrize(
    ("nano", "currency", "text"),
    [
        (7_500_000, "usd", "$0.0075"),
        (0, "usd", "$0.00"),
        (1, "usd", "$0.000000001"),
        (-1_250_500_000_000, "usd", "-$1,250.50"),
        (7_500_000, "points", "3,750 points"),
        (2_000, "points", "1 point"),
        (750, "points", "0.375 points"),
        (None, "usd", "?"),
    ],
)
def test_a_sum_is_shown_to_its_last_digit(nano: int | None, currency: Currency, text: str) -> None:
    assert show(nano, currency) == text


def test_a_column_can_have_its_decimals() -> None:
    assert [show(n, decimals=6) for n in (0, 5 * 10**8, 1)] == [
        "$0.000000",
        "$0.500000",
        "$0.000000001",
    ]
    assert plain(-1_234_500_000_000) == "-1234.5"


@given(st.integers(-(2**63), 2**63), st.sampled_from(["usd", "points"]), st.integers(1, 10**9))
def test_what_is_shown_is_read_back_exactly(nano: int, currency: Currency, points: int) -> None:
    assert parse(show(nano, currency, points), currency, points) == nano
    assert parse(plain(nano, currency, points), currency, points) == nano


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("$20", 20 * 10**9),
        ("20usd", 20 * 10**9),
        ("20 dollars", 20 * 10**9),
        ("-$0.5", -5 * 10**8),
        ("$-0.5", -5 * 10**8),
        (" 1_000 ", 1000 * 10**9),
        ("500000 points", 10**9),
        ("$1,250.50", 1_250_500_000_000),
        ("1,000,000 points", 2 * 10**9),
    ],
)
def test_what_people_write_is_read(text: str, nano: int) -> None:
    assert parse(text) == nano


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "$",
        "1e3",
        "--1",
        "-$-1",
        "$5 points",
        "5 tokens",
        "0.0000000001",
        "NaN",
        "٣",
        "1,5usd",
        "1,2,3",
        "1000,000",
        ",5",
    ],
)
def test_what_is_no_money_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no amount of money|finer than a nano-dollar"):
        parse(text)


def test_amounts_of_the_file_are_whole_nano_dollars() -> None:
    assert nanousd(Amount("usd", Decimal("0.000000001"))) == 1
    assert nanousd(Amount("points", Decimal(1)), 3) == 333_333_333
    with pytest.raises(ValueError, match="tokens is no amount of money"):
        nanousd(Amount("tokens", Decimal(5)))
