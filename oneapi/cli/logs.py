"""`oneapi logs`: the records of requests, newest first; `--follow` waits for new ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from oneapi.cli.place import config_argument, database, database_path, loaded_offline, print_json
from oneapi.cli.shown import look, period, period_arguments, progress
from oneapi.config.find import state_path
from oneapi.errors import UsageError
from oneapi.gateway.keepbodies import bodies_path
from oneapi.ledger import amounts, bodies
from oneapi.ledger.exports import Look, printable, write_csv
from oneapi.ledger.filters import Filter
from oneapi.ledger.queries import follow, records

NAMED = ("user", "token", "model", "channel")
"""Of one of these, or of one status, an index finds records at once."""
OTHERS = ("group", "policy", "endpoint", "dialect-in", "dialect-out", "served-model", "error-code",
          "settlement", "usage-source", "price-rule", "revision")  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--follow", "-f", action="store_true", help="show new records as they come")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="for spreadsheets")
    form.add_argument("--body", metavar="ID", help="the bodies of one request, where they are kept")
    parser.add_argument("--limit", "-n", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--all", action="store_true", help="without a limit")
    parser.add_argument("--oldest-first", action="store_true", help="in the order of time")
    period_arguments(parser)
    for name in (*NAMED, *OTHERS):
        parser.add_argument(f"--{name}", metavar="NAME", help=f'of this {name}; "" for none')
    parser.add_argument("--status", type=int, help="of this HTTP status")
    parser.add_argument("--failed", action="store_true", help="of status 400 and above")
    parser.add_argument("--unpriced", action="store_true", help="whose cost is not known")
    parser.add_argument("--min-cost", metavar="AMOUNT", help="that cost as much: 0.5, $0.5")
    parser.add_argument("--min-ms", type=int, metavar="MS", help="that took as long")
    parser.add_argument("--request-id", metavar="TEXT", help="with this in their request id")
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    shown = look(args.config)
    if args.body is not None:
        return _body(args.config, args.body)
    if args.csv:
        if args.follow:
            raise UsageError("--csv ends, --follow does not: use --json")
        write_csv(sys.stdout, _found(args, shown), shown)
        return 0
    for record in _found(args, shown):
        if args.json:
            print_json(record, flush=args.follow)
        else:
            print(_line(record, shown), flush=args.follow)
    return 0


def _found(args: argparse.Namespace, shown: Look) -> Iterator[dict[str, Any]]:
    path = database(args.config)
    wanted = _filter(args, shown)
    if args.follow:
        return follow(path, wanted)
    return records(
        path,
        wanted,
        limit=None if args.all else args.limit,
        newest_first=not args.oldest_first,
        progress=progress(shown),
    )


def _filter(args: argparse.Namespace, shown: Look) -> Filter:
    names = {name: getattr(args, name) for n in (*NAMED, *OTHERS) if (name := n.replace("-", "_"))}
    since, until = period(args, shown)
    return Filter(
        since_ms=since,
        until_ms=until,
        **names,
        status=args.status,
        failed=True if args.failed else None,
        priced=False if args.unpriced else None,
        min_cost_nanousd=_nanousd(args.min_cost, shown),
        min_total_ms=args.min_ms,
        request_id=args.request_id,
    )


def _nanousd(text: str | None, shown: Look) -> int | None:
    if text is None:
        return None
    try:
        return amounts.parse(text, shown.currency, shown.points_per_usd)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _line(r: dict[str, Any], shown: Look) -> str:
    stamp = shown.time(r["time_ms"])[:19].replace("T", " ")
    who = f"{r['user'] or '-'}/{r['token'] or '-'}"
    return printable(
        f"{stamp} {r['status']} {r['endpoint']} {r['model'] or '-'} -> {r['channel'] or '-'} {who} "
        f"{shown.money(r['cost_nanousd'], 6 if shown.currency == 'usd' else 1)} "
        f"{r['total_ms']} ms {r['error_code'] or ''} {r['request_id']}"
    )


def _body(config: str | None, asked: str) -> int:
    """Print what came in, a line, and what went out."""
    loaded = loaded_offline(config)
    path = bodies_path(loaded, state_path(loaded, loaded.environ))
    pair = next(filter(None, (bodies.find(path, number) for number in _ids(config, asked))), None)
    if pair is None:
        raise UsageError(
            f"no bodies of {asked} are kept: that takes a policy with log_bodies = true, and lasts"
            " as long as logs.bodies.keep says"
        )
    for name, body, size in (
        ("request", pair.request, pair.request_size),
        ("answer", pair.answer, pair.answer_size),
    ):
        note = "" if len(body) >= size else f", {len(body):,} kept"
        print(f"--- {name}, {size:,} bytes{note}", file=sys.stderr, flush=True)
        sys.stdout.buffer.write(body + (b"" if body.endswith(b"\n") else b"\n"))
        sys.stdout.buffer.flush()
    return 0


def _ids(config: str | None, asked: str) -> Iterator[int]:
    """A record's own id in hexadecimal, or those of records with that request id."""
    if len(asked) == 16 and set(asked) <= set("0123456789abcdef"):
        yield int(asked, 16)
    path = database_path(config)
    if path.exists():
        wanted = Filter(request_id=asked)
        found = records(path, wanted, limit=20, progress=progress(Look()))
        yield from (row["id"] for row in found if row["request_id"] == asked)
