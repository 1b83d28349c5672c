"""`oneapi prices [MODEL]`: what each model of each channel costs, and which line says so."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass

from oneapi.cli.place import config_argument, config_path, numbers, print_json, print_table
from oneapi.config.documents import Documents
from oneapi.config.findings import Finding, did_you_mean
from oneapi.config.load import load
from oneapi.config.locate import KeyPath
from oneapi.config.schema import Site
from oneapi.errors import UsageError
from oneapi.gateway.build import build
from oneapi.gateway.carriers import Carriers
from oneapi.gateway.quotes import Quote, all_quotes, quotes
from oneapi.gateway.snapshot import Snapshot
from oneapi.ledger.amounts import plain, show
from oneapi.ledger.pricelist import FALLBACK, Place
from oneapi.ledger.prices import RATES, RATIO_ONE, Rates, Rule
from oneapi.providers.catalog import load_catalog, type_facts

COLUMNS = {
    "model": "MODEL",
    "channel": "CHANNEL",
    "input": "INPUT",
    "output": "OUTPUT",
    "cache_read": "CACHED",
    "other": "OTHER",
    "line": "LINE",
}
UNITS = {
    "image": "an image",
    "second": "a second",
    "character": "per million characters",
    "search": "a search",
    "request": "a request",
}
"""Rates that are not for a million tokens."""
UNPRICED = {
    "free": 'unpriced: recorded without a cost (site.unpriced = "free")',
    "reject": 'unpriced: refused (site.unpriced = "reject")',
}


@dataclass(frozen=True, slots=True)
class Shown:
    """How prices are shown: the file's currency, and the group's ratio in millionths."""

    site: Site
    documents: Documents
    group: str
    ratio: int

    def paid(self, nano: int) -> int:
        """A rate with the group's ratio, rounded up to a nano-dollar."""
        return -(-nano * self.ratio // RATIO_ONE)

    def money(self, nano: int) -> str:
        return show(self.paid(nano), self.site.currency, self.site.points_per_usd)

    def cell(self, nano: int) -> str:
        """For a table whose unit stands elsewhere."""
        return self.money(nano).removesuffix("s").removesuffix(" point")

    def number(self, nano: int) -> str:
        return plain(self.paid(nano), self.site.currency, self.site.points_per_usd)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", metavar="MODEL", help="one model, with all steps")
    parser.add_argument("--channel", metavar="NAME", help="at this channel alone")
    parser.add_argument("--group", metavar="NAME", default="default", help="whose ratio counts")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    catalog = load_catalog()
    path = config_path(args.config)
    loaded = load(path, types=type_facts(catalog), environ=os.environ, secrets=False)
    snapshot = build(loaded, catalog, numbers, Carriers())
    shown = Shown(loaded.settings.site, loaded.documents, args.group, _ratio(snapshot, args.group))
    found = _chosen(snapshot, args.model, args.channel)
    if args.json:
        for quote in found:
            print_json(_details(quote, shown))
    elif args.model is None:
        print_table((_row(quote, shown) for quote in found), COLUMNS)
        print(f"\n{_unit(shown)}; `oneapi prices MODEL` says more")
    else:
        print("\n\n".join("\n".join(_told(quote, shown)) for quote in found))
    return 0


def _ratio(snapshot: Snapshot, group: str) -> int:
    groups = snapshot.settings.groups
    if group in groups:
        return int(groups[group].ratio * RATIO_ONE)
    if group != "default":
        raise UsageError(f"there is no group {group}; {did_you_mean(group, groups)}".rstrip("; "))
    return RATIO_ONE


def _chosen(snapshot: Snapshot, model: str | None, channel: str | None) -> list[Quote]:
    if channel is not None and channel not in snapshot.channels:
        hint = did_you_mean(channel, snapshot.channels)
        raise UsageError(f"there is no channel {channel} in use; {hint}".rstrip("; "))
    found = list(all_quotes(snapshot)) if model is None else quotes(snapshot, model)
    found = [quote for quote in found if channel in (None, quote.channel)]
    if model is not None and not found:
        known = {quote.model for quote in all_quotes(snapshot)}
        raise UsageError(f"no channel serves {model}; {did_you_mean(model, known)}".rstrip("; "))
    return found


def _row(quote: Quote, shown: Shown) -> dict[str, object]:
    row: dict[str, object] = {"model": quote.model, "channel": quote.channel}
    rule, place = quote.rule, quote.found
    if rule is None or place is None:
        return {**row, "input": "?", "output": "?", "line": UNPRICED[shown.site.unpriced]}
    rates = rule.rates
    other = [f"{shown.money(getattr(rates, k))} {w}" for k, w in UNITS.items() if getattr(rates, k)]
    other += ["by image"] * bool(rule.images) + ["by length of input"] * bool(rule.tiers)
    return {
        **row,
        **{name: shown.cell(getattr(rates, name)) for name in ("input", "output", "cache_read")},
        "other": ", ".join(other),
        "line": rule.name,
    }


def _unit(shown: Shown) -> str:
    money = "dollars" if shown.site.currency == "usd" else "points"
    return f"{money} per million tokens, for group {shown.group} (× {_ratio_text(shown.ratio)})"


def _told(quote: Quote, shown: Shown) -> Iterator[str]:
    served = f", which it calls {quote.served_model}" if quote.served_model != quote.model else ""
    yield f"{quote.model} at {quote.channel}{served}"
    rule, place = quote.rule, quote.found
    if rule is None or place is None:
        yield f"  {UNPRICED[shown.site.unpriced]}"
    else:
        yield f"  line       {rule.name}{_origin(place, rule, shown)}"
    for label, step in zip(["looked in", *[""] * len(quote.places)], quote.places, strict=False):
        yield f"  {label:<10} {_step(step)}"
    if rule is None or rule.name == "local":
        return
    yield f"  ratio      {_ratio_text(shown.ratio)} of group {shown.group}, in the prices below"
    for name, words in _rates(rule.rates, shown):
        yield f"  {name:<14} {words}"
    for tier in rule.tiers:
        other = [f"{n} {shown.money(r)}" for n, r in _changed(tier.rates, rule.rates)]
        yield f"  with more than {tier.above:,} tokens of input: {', '.join(other)}"
    for variant, price in rule.images:
        yield f"  image {variant}: {shown.money(price)}"


def _rates(rates: Rates, shown: Shown) -> Iterator[tuple[str, str]]:
    """Names of rates and what they are; those that are as another one's say so."""
    for name in RATES:
        rate = getattr(rates, name)
        other = FALLBACK.get(name)
        if other is not None and rate == getattr(rates, other):
            if rate:
                yield name, f"as {other}"
        elif rate or name in ("input", "output"):
            yield name, f"{shown.money(rate)} {UNITS.get(name, 'per million tokens')}"


def _changed(rates: Rates, base: Rates) -> Iterator[tuple[str, int]]:
    """Rates of a tier that differ, without those that follow another one."""
    for name in RATES:
        rate = getattr(rates, name)
        other = FALLBACK.get(name)
        follows = other is not None and rate == getattr(rates, other)
        if rate != getattr(base, name) and not follows:
            yield name, rate


def _step(place: Place) -> str:
    match place.kind:
        case "local":
            return "a local channel: costs nothing where the file does not price it"
        case "default":
            return "site.default_price: the price of whatever has none of its own"
        case "book" | "file" | "channel":
            where = f"the price book {place.name}" if place.kind == "book" else f"[{place.name}]"
            found = place.rule.name[len(place.name) + 1 :] if place.rule is not None else "nothing"
            return f"{where} for {', '.join(place.asked)}: {found}"


def _origin(place: Place, rule: Rule, shown: Shown) -> str:
    if place.kind == "book":
        return f", vendored: {rule.source}, read {rule.table}"
    path = _path(place, rule)
    if path is None:
        return ""
    problem = shown.documents.problem(Finding(path, "", at="key"))
    return f" ({problem.file}:{problem.line})"


def _path(place: Place, rule: Rule) -> KeyPath | None:
    """Where a line of the file stands."""
    match place.kind:
        case "file":
            return ("prices", rule.name[len("prices.") :])
        case "channel":
            table = place.name.removesuffix(".prices")
            name = rule.name[len(place.name) + 1 :]
            return ("channels", table.removeprefix("channels."), "prices", name)
        case "default":
            return ("site", "default_price")
        case "local" | "book":
            return None


def _details(quote: Quote, shown: Shown) -> dict[str, object]:
    """One JSON object. Prices are text, so that no digit is lost, with the group's ratio."""
    details: dict[str, object] = {
        "model": quote.model,
        "channel": quote.channel,
        "served_model": quote.served_model,
        "priced": quote.rule is not None,
        "looked_in": [
            {
                "place": place.name,
                "kind": place.kind,
                "asked": list(place.asked),
                "line": place.rule.name if place.rule is not None else None,
            }
            for place in quote.places
        ],
        "group": shown.group,
        "ratio": _ratio_text(shown.ratio),
        "currency": shown.site.currency,
    }
    rule, place = quote.rule, quote.found
    if rule is None or place is None:
        return {**details, "unpriced": shown.site.unpriced}
    path = _path(place, rule)
    if path is not None:
        problem = shown.documents.problem(Finding(path, "", at="key"))
        details |= {"file": problem.file, "line_number": problem.line}
    return details | {
        "line": rule.name,
        "source": rule.source or None,
        "date": rule.table or None,
        "prices": _numbers(rule.rates, shown),
        "tiers": [{"above": t.above, **_numbers(t.rates, shown)} for t in rule.tiers],
        "images": {variant: shown.number(price) for variant, price in rule.images},
    }


def _numbers(rates: Rates, shown: Shown) -> dict[str, str]:
    always = ("input", "output")
    return {
        name: shown.number(rate)
        for name in RATES
        if (rate := getattr(rates, name)) or name in always
    }


def _ratio_text(ratio: int) -> str:
    return plain(ratio * 1000)
