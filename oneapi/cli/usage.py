"""`oneapi usage`: requests, tokens and cost, summed up by user, token, model, channel or day."""

from __future__ import annotations

import argparse

from oneapi.cli.place import (
    config_argument,
    database,
    dollars,
    print_json,
    print_table,
    since_ms,
)
from oneapi.errors import UsageError
from oneapi.ledger.queries import usage

BY = ("user", "token", "model", "channel", "day")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", default="model", help=f"comma list of {', '.join(BY)} (default: model)"
    )
    parser.add_argument("--since", help="7d, 12h, or a date")
    parser.add_argument("--until", help="likewise")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    by = [name.strip() for name in args.by.split(",")]
    unknown = [name for name in by if name not in BY]
    if unknown:
        raise UsageError(f"--by takes {', '.join(BY)}, not {', '.join(unknown)}")
    rows = usage(
        database(args.config), by=by, since_ms=since_ms(args.since), until_ms=since_ms(args.until)
    )
    if args.json:
        for row in rows:
            print_json(row)
        return 0
    for row in rows:
        row["cost"] = dollars(row.get("cost_nanousd"))
    headings = {name: name.upper() for name in by}
    headings |= {"requests": "REQUESTS", "errors": "ERRORS", "input_tokens": "IN"}
    headings |= {"output_tokens": "OUT", "cost": "COST"}
    print_table(rows, headings)
    return 0
