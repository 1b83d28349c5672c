"""`oneapi check`: the configuration, offline. Exits 0 when it would be served, 1 when not (D8)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

from oneapi.cli.place import config_argument, config_path, numbers, print_json
from oneapi.config.advice import Priced, check_warnings
from oneapi.config.find import state_path
from oneapi.config.load import Loaded, load
from oneapi.errors import ConfigError, Problem
from oneapi.gateway.build import build
from oneapi.gateway.carriers import Carriers
from oneapi.gateway.sharing import shared_names
from oneapi.ledger.pricelist import PriceList
from oneapi.providers.catalog import load_catalog, type_facts
from oneapi.providers.preset import Preset


def arguments(parser: argparse.ArgumentParser) -> None:
    config_argument(parser)
    parser.add_argument(
        "--secrets", action="store_true", help="resolve secrets too: variables, file:, cmd:"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    path = config_path(args.config)
    catalog = load_catalog()
    try:
        loaded = load(path, types=type_facts(catalog), environ=os.environ, secrets=args.secrets)
        prices = build(loaded, catalog, numbers, Carriers()).prices
    except ConfigError as error:
        problems = list(error.problems)
    else:
        warned = check_warnings(
            loaded, priced=_priced(loaded, catalog, prices), known=_known(loaded, catalog)
        )
        shared = shared_names(loaded, state_path(loaded, loaded.environ))
        problems = [*loaded.problems, *warned, *shared]
    for problem in problems:
        _show(problem, as_json=args.json)
    errors = sum(p.severity == "error" for p in problems)
    if not args.json:
        warnings = len(problems) - errors
        print(f"{path}: {errors} errors, {warnings} warnings" if problems else f"{path}: fine")
    return 1 if errors else 0


def _priced(loaded: Loaded, catalog: Mapping[str, Preset], prices: PriceList) -> Priced:
    channels = loaded.settings.channels

    def priced(channel: str, asked: str, served: str) -> bool:
        preset = catalog[channels[channel].type]
        rule = prices.find(
            asked,
            served,
            channel=channel,
            books=preset.price_books,
            local=preset.local,
            deployments=preset.deployments,
        )
        return rule is not None

    return priced


def _known(loaded: Loaded, catalog: Mapping[str, Preset]) -> dict[str, tuple[str, ...]]:
    """The models that the catalog knows of each channel's provider."""
    return {name: catalog[c.type].models for name, c in loaded.settings.channels.items()}


def _show(problem: Problem, *, as_json: bool) -> None:
    if as_json:
        names = ("severity", "file", "line", "column", "key", "message", "hint")
        return print_json({name: getattr(problem, name) for name in names})
    print(f"{problem.severity}: {problem}", file=sys.stderr)
