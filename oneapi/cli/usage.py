"""`oneapi usage`: requests, tokens and cost, summed up by user, token, model, channel or day."""

from __future__ import annotations

import argparse

from oneapi.cli.place import config_argument, database, print_json, print_table
from oneapi.cli.shown import look, period, period_arguments
from oneapi.errors import UsageError
from oneapi.ledger.rollups import USAGE_KEYS, usage

BY = ("user", "token", "group", "model", "channel", "day")
"""What is told at once, however many records there are; the others are read one by one."""


def arguments(parser: argparse.ArgumentParser) -> None:
    others = ", ".join(key for key in USAGE_KEYS if key not in BY)
    parser.add_argument(
        "--by",
        default="model",
        help=f"comma list of {', '.join(BY)} (default: model), or of {others}",
    )
    period_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    by = [name.strip() for name in args.by.split(",")]
    unknown = [name for name in by if name not in USAGE_KEYS]
    if unknown:
        raise UsageError(f"--by takes {', '.join(USAGE_KEYS)}, not {', '.join(unknown)}")
    shown = look(args.config)
    since, until = period(args, shown)
    rows = usage(database(args.config), by=by, since_ms=since, until_ms=until, zone=shown.zone)
    if args.json:
        for row in rows:
            print_json(row)
        return 0
    for row in rows:
        cost = shown.money(row["cost_nanousd"], 6 if shown.currency == "usd" else 1)
        row["cost"] = f"{cost} + ?" if row["unpriced"] else cost
    headings = {name: name.upper() for name in by}
    headings |= {"requests": "REQUESTS", "errors": "ERRORS", "input_tokens": "IN"}
    headings |= {"output_tokens": "OUT", "cost": "COST"}
    print_table(rows, headings)
    return 0
