"""`oneapi logs`: the records of requests, newest first; `--follow` waits for new ones."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from oneapi.cli.place import config_argument, database, dollars, print_json, since_ms
from oneapi.ledger.queries import follow, records


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--follow", "-f", action="store_true", help="show new records as they come")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--limit", "-n", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--since", help="7d, 12h, or a date")
    for name in ("user", "token", "model", "channel"):
        parser.add_argument(f"--{name}", help=f"of this {name} alone")
    parser.add_argument("--status", type=int, help="of this HTTP status alone")
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    for record in _found(args):
        if args.json:
            print_json(record, flush=args.follow)
        else:
            print(_line(record), flush=args.follow)
    return 0


def _found(args: argparse.Namespace) -> Iterator[dict[str, object]]:
    path = database(args.config)
    wanted = {n: getattr(args, n) for n in ("user", "token", "model", "channel", "status")}
    if args.follow:
        return follow(path, **wanted)
    return records(path, since_ms=since_ms(args.since), limit=args.limit, **wanted)


def _line(r: dict[str, object]) -> str:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(int(str(r["time_ms"])) / 1000))
    who = f"{r['user'] or '-'}/{r['token'] or '-'}"
    return (
        f"{stamp} {r['status']} {r['endpoint']} {r['model'] or '-'} -> {r['channel'] or '-'} {who} "
        f"{dollars(r['cost_nanousd'])} {r['total_ms']} ms {r['error_code'] or ''} {r['request_id']}"
    )
