"""`oneapi code`: redemption codes, made in batches and shown once."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from oneapi.cli.managing import Opened, done, json_argument, moment_ms, opened, stamp
from oneapi.cli.place import config_argument, print_json, print_table
from oneapi.ledger.codes import Code, NewBatch


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make a batch of codes: they are printed this once")
    new.add_argument("--count", type=int, default=1, help="how many (default: 1)")
    new.add_argument("--value", required=True, help="what each is worth: 5usd, 500000points")
    new.add_argument("--name", help="the batch's name (default: the time)")
    new.add_argument("--expires", help="a date, or a span such as 30d (default: never)")
    new.add_argument("--uses", type=int, default=1, help="users who may use each (default: 1)")
    new.add_argument("--csv", action="store_true", help="as CSV: code, value, batch, expires")
    shown = actions.add_parser("list", help="list batches, or the codes of one")
    shown.add_argument("batch", nargs="?")
    json_argument(shown)
    for action, words in _CHANGES.items():
        change = actions.add_parser(action, help=words)
        change.add_argument("batch")
        change.add_argument(
            "ending", nargs="*", help="the last four letters of codes (default: all of the batch)"
        )
    redeem = actions.add_parser("redeem", help="give a code's value to a user")
    redeem.add_argument("code", nargs="?", help="the code (default: read from stdin)")
    redeem.add_argument("--user", required=True)
    for its in actions.choices.values():
        config_argument(its)


_CHANGES = {
    "disable": "switch a batch off, or some codes of it",
    "enable": "switch it on again",
    "delete": "delete codes that nobody used",
}


def run(args: argparse.Namespace) -> int:
    with opened(args.config) as desk:
        actions: dict[str, Callable[[Opened, argparse.Namespace], None]] = {
            "new": _new,
            "list": _list,
            "redeem": _redeem,
        }
        actions.get(args.action, _change)(desk, args)
    return 0


def _new(desk: Opened, args: argparse.Namespace) -> None:
    name = args.name or datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    value, expires_ms = desk.nanousd(args.value), moment_ms(args.expires)
    wanted = NewBatch(name, args.count, value, args.uses, expires_ms)
    fresh = done(desk.people.make_codes(desk.actor, wanted))
    if args.csv:
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(("code", "value", "batch", "expires"))
        facts = (desk.money(value), _cell(name), stamp(expires_ms))
        lines.writerows((code, *facts) for code in fresh.codes)
    else:
        print("\n".join(fresh.codes))
    print(f"\nThe codes are shown this once. The batch is {name!r}.", file=sys.stderr)


def _list(desk: Opened, args: argparse.Namespace) -> None:
    if args.batch is None:
        return _list_batches(desk, args)
    codes = done(desk.people.codes(args.batch))
    if args.json:
        for code in codes:
            print_json(asdict(code))
        return
    headings = ("code", "value", "state", "used", "by", "when")
    print_table((_row(desk, code) for code in codes), {n: n.upper() for n in headings})


def _row(desk: Opened, code: Code) -> dict[str, object]:
    return {
        "code": f"…{code.hint}",
        "value": desk.money(code.value_nanousd),
        "state": code.state,
        "used": f"{code.used}/{code.uses}",
        "by": ", ".join(use.user for use in code.used_by),
        "when": ", ".join(stamp(use.time_ms) for use in code.used_by),
    }


def _list_batches(desk: Opened, args: argparse.Namespace) -> None:
    batches = done(desk.people.code_batches())
    if args.json:
        for batch in batches:
            print_json(asdict(batch))
        return
    rows = (
        {
            "batch": batch.name,
            "codes": batch.count,
            "value": desk.money(batch.value_nanousd),
            "used": f"{batch.used}/{batch.count * batch.uses}",
            "expires": stamp(batch.expires_ms, "never"),
            "state": "on" if batch.enabled else "off",
        }
        for batch in batches
    )
    headings = ("batch", "codes", "value", "used", "expires", "state")
    print_table(rows, {name: name.upper() for name in headings})


def _change(desk: Opened, args: argparse.Namespace) -> None:
    endings = args.ending
    if args.action == "delete":
        count = done(desk.people.delete_codes(desk.actor, args.batch, hints=endings))
    else:
        enabled = args.action == "enable"
        switched = desk.people.switch_codes(desk.actor, args.batch, enabled=enabled, hints=endings)
        count = done(switched)
    print(f"{args.action}d {count} codes of {args.batch}")


def _redeem(desk: Opened, args: argparse.Namespace) -> None:
    code = args.code or sys.stdin.readline()
    entry = done(desk.people.redeem(desk.actor, code, args.user))
    print(f"{args.user} has got {desk.money(entry.amount_nanousd)}")


def _cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula (D43)."""
    return f"'{text}" if text[:1] in "=+-@" else text
