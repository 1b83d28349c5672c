"""From the file's prices and the vendored books to one list of price lines."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache

from oneapi.config import schema
from oneapi.config.findings import Finding
from oneapi.config.load import Loaded
from oneapi.config.locate import KeyPath
from oneapi.errors import Problem
from oneapi.ledger.pricelist import PriceError, PriceList, PriceTable, from_ratio, rule_of
from oneapi.ledger.prices import RATES, Rule
from oneapi.providers import pricebooks
from oneapi.providers.catalog import Preset


def price_list(loaded: Loaded, catalog: Mapping[str, Preset]) -> tuple[PriceList, list[Problem]]:
    """Every price line that can apply, and those of the file that are no prices."""
    settings, problems = loaded.settings, list[Problem]()
    own = _table(loaded, ("prices",), settings.prices, problems)
    channels = {
        name: _table(loaded, ("channels", name, "prices"), channel.prices, problems)
        for name, channel in settings.channels.items()
        if channel.prices
    }
    default = settings.site.default_price
    lines = {} if default is None else {"default_price": default}
    fallback = _table(loaded, ("site",), lines, problems).find("default_price")
    presets = (catalog[c.type] for c in settings.channels.values() if c.type in catalog)
    needed = {name for preset in presets for name in preset.price_books}
    books = {name: vendored(name) for name in needed}
    return PriceList(own, channels=channels, books=books, default=fallback), problems


@cache
def vendored(name: str) -> PriceTable:
    """A vendored book as rules, made once: rows never change while the program runs."""
    rows = pricebooks.book(name).values()
    return PriceTable(
        {
            row.model: rule_of(
                f"{name}/{row.model}",
                row.dollars,
                tiers=row.tiers,
                images=row.images or None,
                table=row.date,
                source=row.source,
            )
            for row in rows
        }
    )


def _table(
    loaded: Loaded, path: KeyPath, prices: Mapping[str, schema.Price], problems: list[Problem]
) -> PriceTable:
    rules: dict[str, Rule] = {}
    for name, price in prices.items():
        try:
            rules[name] = rule(".".join(map(str, (*path, name))), price)
        except PriceError as error:
            finding = Finding((*path, name, *error.key), error.words)
            problems.append(loaded.documents.problem(finding))
    return PriceTable(rules)


def rule(name: str, price: schema.Price) -> Rule:
    """One line of the file as a rule. Raises `PriceError`."""
    _consistent(price)
    dollars = _dollars(price)
    if price.ratio is not None:
        completion = price.completion_ratio if price.completion_ratio is not None else Decimal(1)
        dollars = {**from_ratio(price.ratio, completion), **dollars}
    images = price.image if isinstance(price.image, dict) else None
    tiers = [(tier.above, _dollars(tier)) for tier in price.tiers]
    return rule_of(name, dollars, tiers=tiers, images=images)


def _consistent(price: schema.Price) -> None:
    """Raises `PriceError` for keys that contradict each other or say nothing."""
    if not price.model_fields_set:
        raise PriceError((), "has no price in it; input = 0 and output = 0 make a model free")
    if price.ratio is None and price.completion_ratio is not None:
        raise PriceError(("completion_ratio",), "needs ratio beside it, which it multiplies")
    for key in ("input", "output"):
        if price.ratio is not None and getattr(price, key) is not None:
            raise PriceError(
                (key,), "stands beside ratio, which says the same: take one of them out"
            )
    for index, tier in enumerate(price.tiers):
        if tier.model_fields_set == {"above"}:
            raise PriceError(("tiers", index), "changes nothing: give it rates, such as input")


def _dollars(table: schema.Price | schema.PriceTier) -> dict[str, Decimal]:
    """What a table of the file says in dollars, by the name of the rate."""
    given = {name: getattr(table, name) for name in type(table).model_fields}
    return {name: v for name, v in given.items() if name in RATES and isinstance(v, Decimal)}
