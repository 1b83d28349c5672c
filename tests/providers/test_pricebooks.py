"""The vendored price lists: every row has its source, and figures that can be prices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

from oneapi.gateway.pricing import vendored
from oneapi.providers import pricebooks
from oneapi.providers.catalog import load_catalog
from oneapi.providers.pricebooks import Row, parse_book

BOOKS = pricebooks.names()
SOURCED = 'source = "https://x/y"\ndate = 2026-11-24\n'
MOST = {"search": 1, "request": 5, "second": 1, "image": 5}
"""Dollars beyond which a figure was given in the wrong unit; of all others 1,000."""
LEAST = {"second": "0.0000001", "search": "0.0001", "request": "0.00001", "image": "0.0001"}
"""Dollars below which it was; of all others 0.001, a dollar for 1,000 million tokens."""


def figures(row: Row) -> Iterator[tuple[str, Decimal]]:
    yield from row.dollars.items()
    for _, rates in row.tiers:
        yield from rates.items()
    for price in row.images.values():
        yield "image", price


def test_there_are_books_for_the_great_providers() -> None:
    assert {"openai", "anthropic", "gemini", "deepseek", "mistral", "xai", "groq"} <= set(BOOKS)
    assert sum(len(pricebooks.book(name)) for name in BOOKS) > 300


@pytest.mark.parametrize("book", BOOKS)
def test_every_row_has_its_page_and_a_day_on_which_it_was_read(book: str) -> None:
    for row in pricebooks.book(book).values():
        assert row.source.startswith("https://"), row
        assert " " not in row.source, row
        assert date(2026, 1, 1) <= date.fromisoformat(row.date) <= date(2027, 12, 31), row


@pytest.mark.parametrize("book", BOOKS)
def test_every_figure_can_be_a_price(book: str) -> None:
    for row in pricebooks.book(book).values():
        for key, price in figures(row):
            least, most = Decimal(LEAST.get(key, "0.001")), MOST.get(key, 1000)
            assert price == 0 or least <= price <= most, (row.model, key)


@pytest.mark.parametrize("book", BOOKS)
def test_the_rates_of_a_row_fit_each_other(book: str) -> None:
    for row in pricebooks.book(book).values():
        for rates in (row.dollars, *({**row.dollars, **tier} for _, tier in row.tiers)):
            fresh, made = rates.get("input", Decimal(0)), rates.get("output", Decimal(0))
            assert rates.get("cache_read", fresh) <= fresh, row
            if "cache_write_1h" in rates:
                assert rates["cache_write_1h"] >= rates.get("cache_write", fresh), row
            assert made == 0 or made >= fresh / 20, row


@pytest.mark.parametrize("book", BOOKS)
def test_longer_inputs_cost_no_less(book: str) -> None:
    for row in pricebooks.book(book).values():
        below = row.dollars
        for _, tier in sorted(row.tiers, key=lambda tier: tier[0]):
            assert all(price >= below.get(key, Decimal(0)) for key, price in tier.items()), row
            below = {**below, **tier}


@pytest.mark.parametrize("book", BOOKS)
def test_every_row_becomes_a_rule_of_its_table(book: str) -> None:
    rules = vendored(book).rules
    assert rules.keys() == pricebooks.book(book).keys()
    for name, rule in rules.items():
        assert rule.name == f"{book}/{name}"
        assert rule.table == pricebooks.book(book)[name].date


def test_every_book_belongs_to_a_preset_and_every_named_one_exists() -> None:
    catalog = load_catalog()
    used = {book for preset in catalog.values() for book in preset.price_books}
    assert set(BOOKS) <= used
    # By default a preset has the book of its own name, if there is one.
    assert {b for p in catalog.values() for b in p.price_books if b != p.name} <= set(BOOKS)


def test_resellers_and_local_servers_have_no_book() -> None:
    catalog = load_catalog()
    for name in ("api2d", "closeai", "openai-custom", "openai-compatible", "ollama", "mock"):
        assert not any(pricebooks.book(book) for book in catalog[name].price_books)
    assert not any(pricebooks.book(b) for p in catalog.values() if p.local for b in p.price_books)


def test_a_book_that_does_not_exist_is_empty() -> None:
    assert pricebooks.book("nobody") == {}


def test_a_row_is_read_as_it_stands() -> None:
    [row] = parse_book(
        "b",
        '["m-*"]\ninput = 0.15\nimage = { "1024x1024 hd" = 0.08, "*" = 0.04 }\n'
        "tiers = [{ above = 5, input = 1 }]\n" + SOURCED,
    ).values()
    assert row == Row(
        "m-*",
        {"input": Decimal("0.15")},
        "https://x/y",
        "2026-11-24",
        ((5, {"input": Decimal(1)}),),
        {"1024x1024 hd": Decimal("0.08"), "*": Decimal("0.04")},
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("input = 1\ndate = 2026-11-24\n", "needs its source and date"),
        ('input = 1\nsource = "https://x"\n', "needs its source and date"),
        ('input = 1\nsource = "a page"\ndate = 2026-11-24\n', "needs its source and date"),
        ('input = 1\nsource = "https://x"\ndate = "soon"\n', "needs its source and date"),
        ("inptu = 1\n" + SOURCED, "there is no key inptu"),
        ("ratio = 1\n" + SOURCED, "there is no key ratio"),
        ("input = -1\n" + SOURCED, "input: must be a number of dollars"),
        ('input = "1"\n' + SOURCED, "input: must be a number of dollars"),
        ("input = true\n" + SOURCED, "input: must be a number of dollars"),
        ("input = nan\n" + SOURCED, "input: must be a number of dollars"),
        ("input = 0.0000000001\n" + SOURCED, "input: must be a number of dollars"),
        ("image = {}\n" + SOURCED, "image: needs "),
        ("input = 1\ntiers = [{ input = 1 }]\n" + SOURCED, "tiers: must have `above`"),
        ("input = 1\ntiers = [{ above = 1, image = 1 }]\n" + SOURCED, "tiers: must have `above`"),
        (
            "input = 1\ntiers = [{ above = 1, input = -1 }]\n" + SOURCED,
            "input: must be a number of dollars",
        ),
        (SOURCED, "has no price"),
    ],
)
def test_a_row_that_is_no_price_is_refused_by_its_name(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=rf"^prices/b\.toml: m: {words}"):
        parse_book("b", "[m]\n" + text)


def test_no_glob_of_a_free_model_fits_a_deployment_that_an_operator_named() -> None:
    """Azure's names are the operator's own: one with "moderation" in it is not free therefore."""
    openai = vendored("openai")
    for name in ("content-moderation-gpt-4o", "moderation", "my-omni-moderation-gpt"):
        assert openai.find(name) is None
    for name in ("omni-moderation-latest", "omni-moderation-2024-09-26", "text-moderation-stable"):
        assert (rule := openai.find(name)) is not None
        assert not any(rule.rates.multipliers())
