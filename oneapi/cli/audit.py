"""`oneapi audit`: compute every bill again, and tell of each difference.

Exit status 0: everything adds up; 1: it does not.
"""

from __future__ import annotations

import argparse
import time

from oneapi.cli.place import config_argument, database, print_json
from oneapi.cli.shown import look, period, period_arguments, progress
from oneapi.ledger.audit import Audited, Difference, audit
from oneapi.ledger.exports import Look, printable

MONEY = ("cost", "credit")


def arguments(parser: argparse.ArgumentParser) -> None:
    period_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    shown = look(args.config)
    found = Audited()
    started = time.monotonic()
    since, until = period(args, shown)
    for difference in audit(
        database(args.config),
        found,
        since_ms=since,
        until_ms=until,
        progress=progress(shown),
    ):
        if args.json:
            print_json(difference.as_dict())
        else:
            print(printable(_line(difference, shown)))
    seconds = time.monotonic() - started
    if args.json:
        print_json({"what": "summary", **found.as_dict(), "seconds": round(seconds, 3)})
    else:
        for line in _summary(found, shown, seconds):
            print(line)
    return 1 if found.differences else 0


def _line(difference: Difference, shown: Look) -> str:
    numbers = (difference.stored, difference.computed)
    if numbers == (None, None):
        told = ""
    elif difference.what in MONEY:
        told = " (stored {}, computed {})".format(*map(shown.money, numbers))
    else:
        told = " (stored {}, computed {})".format(*("?" if n is None else n for n in numbers))
    return f"{difference.what} {difference.subject}: {difference.words}{told}"


def _summary(found: Audited, shown: Look, seconds: float) -> list[str]:
    lines = [
        f"{found.records:,} records, {shown.money(found.cost_nanousd)} in all, "
        f"{found.days:,} days of sums, {found.accounts:,} accounts, {seconds:.1f} s"
    ]
    if found.unpriced:
        lines.append(f"{found.unpriced:,} records have no price, so their cost is not known")
    if found.older:
        lines.append(
            f"{found.older:,} records come from a version that kept no prices: their costs cannot "
            "be computed again"
        )
    if found.oldest_ms:
        lines.append(f"the records reach back to {shown.time(found.oldest_ms)}")
    if found.purged_requests:
        lines.append(
            f"before that, {found.purged_requests:,} purged records cost "
            f"{shown.money(found.purged_nanousd)}: known by their closing entries alone"
        )
    if found.untold:
        lines.append(
            f"{found.untold:,} sums of accounts are not checked: they begin or end within an hour"
            " whose records are purged"
        )
    lines.append(f"{found.differences:,} differences" if found.differences else "no differences")
    return lines
