"""`oneapi ps`: the requests under way, of all gateways over this database."""

from __future__ import annotations

import argparse
import time

from oneapi.cli.place import ask_all, config_argument, print_json, print_table

COLUMNS = {
    "request_id": "REQUEST",
    "age": "AGE",
    "endpoint": "ENDPOINT",
    "model": "MODEL",
    "channel": "CHANNEL",
    "user": "USER",
    "token": "TOKEN",
    "client": "CLIENT",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    config_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    found: list[dict[str, object]] = []
    for answer in ask_all(args.config, {"verb": "ps"}).values():
        requests = answer.get("requests")
        found += requests if isinstance(requests, list) else []
    if args.json:
        for request in found:
            print_json(request)
        return 0
    now = time.time() * 1000
    for request in found:
        request["age"] = f"{(now - int(str(request['started_ms']))) / 1000:.1f}s"
    print_table(found, COLUMNS)
    return 0
